import dataclasses
import json
import math

import pytest

import surprising
import toy
from whytrain.errors import UserError
from whytrain.lab import NotYetRun, Source, reopen, reproduce


def source_of(study):
    return Source(lambda reference: study, study.name)


def verdicts(reproduction):
    return {claim.id: verdict.verdict for claim, verdict in reproduction.outcomes}


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
    canvas, caption = figure.draw(done.datasets(figure.requests("quick")))
    assert canvas.axes
    assert caption.endswith(".")


def test_the_document_is_json(done):
    document = json.loads(json.dumps(done.document("report.html"), allow_nan=False))
    assert document["report"] == "report.html"
    assert document["claims"][0] == {
        "id": "up",
        "statement": toy.UP.statement,
        "source": "Theorem 1",
        "verdict": "supported",
        "expected": "supported",
        "estimate": pytest.approx(2, abs=0.5),
        "interval": pytest.approx([2, 2], abs=0.5),
        "threshold": 0.0,
        "runs": 250,
        "note": "",
    }


def test_what_did_it_is_on_record(done):
    assert done.commands[0].startswith("whytrain reproduce toy --preset quick --seed 0 --out ")
    assert {"whytrain", "python", "jax", "numpy"} <= set(done.versions)
    assert done.started.endswith("+00:00")


def test_a_failure_costs_no_other_claim_its_verdict(tmp_path, caplog):
    reproduction = reproduce(source_of(surprising.study), "quick", tmp_path)
    assert verdicts(reproduction) == {
        "up": "supported",
        "broken": "inconclusive",
        "careless": "inconclusive",
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
    assert verdicts(half) == {"up": "inconclusive", "down": "inconclusive"}
    assert half.outcomes[0][1].note == "not yet run: 3 of 3 pieces are missing"
    assert math.isnan(half.outcomes[0][1].estimate)
    with pytest.raises(NotYetRun):
        half.datasets(toy.requests("quick"))


def test_a_directory_without_a_reproduction_is_told(done, tmp_path):
    (tmp_path / "out" / "reproduction.json").unlink()
    with pytest.raises(UserError, match="holds no reproduction"):
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
