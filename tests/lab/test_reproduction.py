import dataclasses
import json

import pytest

import surprising
import toy
from judged import rederived
from whytrain.errors import UserError
from whytrain.lab import (
    Fault,
    NotYetRun,
    Part,
    Request,
    Source,
    above,
    estimate_mean,
    reopen,
    reproduce,
)


def source_of(study):
    return Source(lambda reference: study, study.name)


def verdicts(reproduction):
    return {claim.id: verdict.word for claim, verdict in reproduction.outcomes}


@pytest.fixture
def done(tmp_path):
    return reproduce(source_of(toy.study), "quick", tmp_path / "out")


def test_every_claim_has_its_verdict(done):
    assert verdicts(done) == {"up": "supported", "down": "contradicted"}
    assert done.as_expected
    assert (done.computed, done.reused) == (6, 0)


def test_a_second_time_computes_nothing(done, tmp_path):
    again = reproduce(source_of(toy.study), "quick", tmp_path / "out")
    assert (again.computed, again.reused) == (0, 6)
    assert again.document()["claims"] == done.document()["claims"]


def test_figures_find_their_numbers(done):
    [figure] = toy.study.figures
    canvas, caption = figure.draw(done.cells(figure.requests("quick")))
    assert canvas.axes
    assert caption.endswith(".")


def test_the_document_is_json(done):
    document = json.loads(json.dumps(done.document("report.html"), allow_nan=False))
    assert document["report"] == "report.html"
    assert document["claims"][0] == {
        "id": "up",
        "title": "Walks go up",
        "group": "dynamics",
        "statement": toy.UP.statement,
        "source": "Theorem 1",
        "verdict": "supported",
        "corrected": "supported",
        "expected": "supported",
        **(shown := found()),
        "p_value": pytest.approx(0, abs=1e-9),
        "runs": 500,
        "look": 1,
        "note": "",
        "does_not_show": "Walks without a drift.",
        "no_fault": "",
        "figures": ["ends"],
        "parts": [shown | {"verdict": "supported"}],
        "faults": [
            {
                "fault": "the drift is turned round", "verdict": "contradicted", "turned": True,
            }
        ],
    }  # fmt: skip


def found():
    return {
        "what": "mean end of a walk",
        "estimate": pytest.approx(2, abs=0.5),
        "interval": pytest.approx([2, 2], abs=0.5),
        "relation": ">",
        "threshold": 0.0,
        "tolerance": 0.0,
        "level": 0.975,
    }


def test_a_word_follows_from_what_is_printed(done):
    for claim, verdict in done.outcomes:
        assert rederived(claim, verdict) == verdict.word


def weak(scale, **changes):
    """A walk whose drift is seen by many runs only."""
    part = Part(
        "mean end of a walk",
        lambda cells: estimate_mean(cells.pooled("end")),
        above(0.0, resolution=0.01),
    )
    return dataclasses.replace(
        toy.UP,
        requests=lambda preset: [Request("walk", toy.Walk(drift=0.05, scale=scale), 40)],
        parts=(part,),
        **changes,
    )


def test_what_few_runs_do_not_decide_gets_more_that_begin_with_them(tmp_path):
    claim = weak(0.5)
    done = reproduce(source_of(toy.make("weak", claim)), "quick", tmp_path / "out")
    [(_, verdict)] = done.outcomes
    assert (verdict.word, verdict.look, verdict.runs) == ("supported", 2, 160)
    labels = (tmp_path / "out" / "pieces").glob("*.json")
    blocks = [json.loads(label.read_text()) for label in labels]
    walks = [b for b in blocks if b["settings"]["drift"] == 0.05]
    assert sorted((b["first"], b["count"]) for b in walks) == [(0, 40), (40, 100), (140, 20)]
    assert done.document("r") == reopen(
        tmp_path / "out", lambda _: source_of(toy.make("weak", claim))
    ).document("r")


def test_a_budget_that_ends_leaves_a_claim_inconclusive(tmp_path):
    done = reproduce(source_of(toy.make("weak", weak(50.0))), "quick", tmp_path / "out")
    [(_, verdict)] = done.outcomes
    assert (verdict.word, verdict.look, verdict.runs) == ("inconclusive", 3, 640)
    assert verdict.findings[0].estimate.level == 0.9875


def test_no_more_runs_are_made_than_the_resolution_asks_for(tmp_path):
    part = Part(
        "mean end of a walk",
        lambda cells: estimate_mean(cells.pooled("end")),
        above(0.2, resolution=9.0),
    )
    claim = dataclasses.replace(weak(1.0), parts=(part,))
    done = reproduce(source_of(toy.make("weak", claim)), "quick", tmp_path / "out")
    assert (done.outcomes[0][1].word, done.outcomes[0][1].look) == ("inconclusive", 1)


def test_a_further_look_that_cannot_be_had_leaves_the_verdict_and_says_so(tmp_path):
    claim = weak(0.5)
    source = source_of(toy.make("weak", claim))
    reproduce(source, "quick", tmp_path / "out")
    for label in (tmp_path / "out" / "pieces").glob("*.json"):
        if json.loads(label.read_text()).get("first", 0) >= 40:
            label.unlink()
    [(_, verdict)] = reopen(tmp_path / "out", lambda _: source).outcomes
    assert (verdict.word, verdict.look) == ("inconclusive", 1)
    assert "more runs are missing" in verdict.note


def test_faults_with_runs_of_their_own_are_tried_when_asked_for(tmp_path):
    other = Fault("no drift", requests=lambda preset: [Request("walk", toy.Walk(drift=-0.5), 250)])
    claim = dataclasses.replace(
        weak(1.0), faults=(other,), requests=toy.requests, parts=toy.UP.parts
    )
    claim = dataclasses.replace(
        claim,
        parts=(dataclasses.replace(
            claim.parts[0], measure=lambda cells: estimate_mean(cells[0].data.end)
        ),),
    )  # fmt: skip
    source = source_of(toy.make("tried", claim))
    assert reproduce(source, "quick", tmp_path / "out").faults == []
    done = reproduce(source, "quick", tmp_path / "out", check=True)
    [(trial, verdict)] = done.faults
    assert trial.turned(verdict)
    assert done.all_turned
    assert done.document()["claims"][0]["faults"][0]["turned"]


def test_a_plan_is_fixed_before_numbers_are_seen(done, tmp_path):
    assert done.document()["as_planned"]
    easier = dataclasses.replace(toy.UP, parts=(
        dataclasses.replace(toy.UP.parts[0], rule=above(-1.0)),))  # fmt: skip
    again = reopen(tmp_path / "out", lambda _: source_of(toy.make("toy", easier, toy.DOWN)))
    assert not again.document()["as_planned"]
    assert again.plan != done.plan


def test_what_did_it_is_on_record(done):
    assert done.commands[0].startswith("whytrain reproduce toy --preset quick --seed 0 --out ")
    assert {"whytrain", "python", "jax", "numpy"} <= set(done.versions)
    assert done.started.endswith("+00:00")


def test_a_failure_costs_no_other_claim_its_verdict(tmp_path, caplog):
    reproduction = reproduce(source_of(surprising.study), "quick", tmp_path)
    assert verdicts(reproduction) == {
        "up": "supported",
        "broken": "failed",
        "careless": "failed",
    }
    assert not reproduction.as_expected
    notes = [verdict.note for _, verdict in reproduction.outcomes]
    assert "RuntimeError: broken on purpose" in notes[1]
    assert "the check failed: ZeroDivisionError" in notes[2]
    assert reproduction.document()["claims"][1]["estimate"] is None
    assert "could not be computed" in caplog.text


def test_a_directory_tells_its_story_again(done, tmp_path):
    again = reopen(tmp_path / "out", lambda reference: source_of(toy.study))
    assert again.document("r") == done.document("r")


def test_half_a_directory_tells_half_of_it(done, tmp_path):
    for label in (tmp_path / "out" / "pieces").glob("*.json"):
        if json.loads(label.read_text())["settings"]["drift"] == 0:
            label.unlink()
    half = reopen(tmp_path / "out", lambda reference: source_of(toy.study))
    assert verdicts(half) == {"up": "not run", "down": "not run"}
    assert half.outcomes[0][1].note == "not run: 3 of 3 pieces are missing"
    assert half.document()["claims"][0]["estimate"] is None
    assert half.faults == []
    assert half.runs == 250
    with pytest.raises(NotYetRun):
        half.cells(toy.requests("quick"))


def test_a_directory_without_a_reproduction_is_told(done, tmp_path):
    (tmp_path / "out" / "asked.json").unlink()
    with pytest.raises(UserError, match="does not say what was asked for"):
        reopen(tmp_path / "out", lambda reference: source_of(toy.study))


@pytest.mark.parametrize(("preset", "seed"), [("quik", 0), ("quick", -1)])
def test_nothing_is_written_for_a_mistake(preset, seed, tmp_path):
    with pytest.raises(UserError):
        reproduce(source_of(toy.study), preset, tmp_path / "out", seed=seed)
    assert not (tmp_path / "out").exists()


def test_a_claim_may_only_ask_for_what_the_study_has(tmp_path):
    claim = dataclasses.replace(
        toy.UP,
        requests=lambda preset: [dataclasses.replace(toy.requests(preset)[0], experiment="wlak")],
    )
    study = dataclasses.replace(toy.study, claims=(claim,))
    with pytest.raises(UserError, match="unknown experiment of toy: 'wlak'; did you mean 'walk'"):
        reproduce(source_of(study), "quick", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_directory_tells_how_far_it_is(done, tmp_path):
    told = done.status()
    assert (told["command"], told["cells"], told["done"], told["missing"]) == ("reproduce", 2, 2, 0)
    rows = done.table()
    assert rows[["experiment", "runs", "drift"]].values.tolist() == [
        ["walk", 250, 0.5], ["walk", 250, 0.0],
    ]  # fmt: skip
    assert rows["mean"].notna().all()
    again = reproduce(source_of(toy.study), "quick", tmp_path / "other")
    assert again.status()["digest"] == told["digest"]


def test_what_failed_is_told(tmp_path):
    study = dataclasses.replace(toy.study, figures=(), claims=(
        dataclasses.replace(
            toy.study.claims[0], requests=lambda _: [Request("walk", toy.Walk(broken=True), 50)]
        ),
    ))  # fmt: skip
    told = reproduce(source_of(study), "quick", tmp_path / "out").status()
    assert (told["done"], told["failed"], told["missing"]) == (0, 1, 0)
    assert "broken on purpose" in told["errors"][0]["error"]
    assert told["errors"][0]["settings"]["broken"] is True


def test_a_claim_is_judged_at_the_user_s_settings(tmp_path):
    found = reproduce(
        source_of(toy.study), "quick", tmp_path / "out", claims=["up"], settings={"steps": "9"}
    )
    assert [claim.id for claim, _ in found.outcomes] == ["up"]
    assert set(found.table()["steps"]) == {9}
    assert found.document()["settings"] == {"steps": "9"}
    assert found.as_expected  # whatever comes out: nothing is expected there
    assert "--claim up --set steps=9" in found.commands[0]
    again = reopen(tmp_path / "out", lambda reference: source_of(toy.study))
    assert again.document()["claims"] == found.document()["claims"]


@pytest.mark.parametrize(
    ("claims", "settings", "message"),
    [
        (["upp"], {}, "unknown claim of toy: 'upp'; did you mean 'up'"),
        (["up"], {"stepz": "9"}, "unknown setting of claim up: 'stepz'; did you mean 'steps'"),
        (["up"], {"steps": "0"}, "setting 'steps' must be an integer >= 1, got 0"),
        (["up"], {"steps": "many"}, "setting 'steps' must be an integer >= 1, got 'many'"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_written(
    claims, settings, message, tmp_path
):
    with pytest.raises(UserError, match=message):
        reproduce(source_of(toy.study), "quick", tmp_path / "out", claims=claims, settings=settings)
    assert not (tmp_path / "out").exists()


def test_a_setting_and_a_result_of_one_name_are_both_shown(tmp_path):
    [walk] = toy.study.experiments
    mine = dataclasses.replace(walk, summarize=lambda dataset, settings: {"steps": -1})
    study = dataclasses.replace(toy.study, experiments=(mine,))
    rows = reproduce(source_of(study), "quick", tmp_path).table()
    assert set(rows["steps_result"]) == {-1}
    assert rows["steps"].min() > 0


def test_a_summary_that_fails_is_told_in_the_table(tmp_path):
    [walk] = toy.study.experiments
    mine = dataclasses.replace(walk, summarize=lambda dataset, settings: {}["rate"])
    study = dataclasses.replace(toy.study, experiments=(mine,))
    found = reproduce(source_of(study), "quick", tmp_path)
    with pytest.raises(UserError, match="experiment 'walk' failed: KeyError: 'rate'"):
        found.table()


def test_names_are_those_of_one_thing_each():
    [experiment], claim, [figure] = (
        toy.study.experiments, toy.study.claims[0], toy.study.figures[:1],
    )  # fmt: skip
    for fields, words in (
        ({"experiments": (experiment, experiment)}, "two experiments are named 'walk'"),
        ({"claims": (claim, claim)}, "two claims are named"),
        ({"figures": (figure, figure)}, "two figures are named"),
        ({"name": "../toy"}, "the name of a study is one of a folder"),
        ({"name": ""}, "the name of a study"),
    ):
        with pytest.raises(UserError, match=words):
            dataclasses.replace(toy.study, **fields)
    for fields, words in (
        ({"parts": ()}, "needs a part or more"),
        ({"growth": 1}, "growth of claim .* must be a whole number, 2 or more, got 1"),
    ):
        with pytest.raises(UserError, match=words):
            dataclasses.replace(claim, **fields)
