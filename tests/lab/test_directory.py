import dataclasses
import json
import math
import uuid
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import toy
from whytrain import report, studies
from whytrain.cli.tables import show_rows
from whytrain.errors import UserError
from whytrain.lab import (
    Store,
    Sweep,
    export,
    make_plan,
    open_executor,
    query,
    reopen,
    reproduce,
    run_experiment,
    run_sweep,
    sweep_cost,
    table,
    told,
    verify,
)
from whytrain.lab import open as open_sweep
from whytrain.lab import summarize as lab_summarize

TOY = str(Path(__file__).parents[1] / "toy.py")
GRID = {"steps": [1, 2, 3], "kind": ["normal", "coin"]}


def plan(**content):
    return make_plan(
        {"experiment": f"{TOY}/walk", "runs": 120, "grid": GRID} | content, studies.source
    )


def status(place):
    found = Sweep.open(place).status()
    return found["done"], found["failed"], found["missing"]


@pytest.fixture
def done(tmp_path):
    run_sweep(plan(), tmp_path / "out")
    return tmp_path / "out"


def test_a_cell_says_what_run_says(done):
    results = open_sweep(done)
    for steps in GRID["steps"]:
        alone = run_experiment(studies.source(TOY), "walk", toy.Walk(steps=steps), runs=120)
        cell = results.sel(steps=steps, kind="normal")
        assert cell["mean"] == alone["results"]["mean"]["estimate"]
        assert cell.mean_low == alone["results"]["mean"]["low"]
        assert cell.bits == pytest.approx(alone["results"]["bits"])


def test_a_second_sweep_computes_nothing_and_a_larger_one_what_is_new(done):
    assert dataclasses.astuple(run_sweep(plan(), done)) == (0, 6, {})
    larger = plan(grid=GRID | {"steps": [1, 2, 3, 4]})
    assert dataclasses.astuple(run_sweep(larger, done)) == (2, 6, {})
    assert open_sweep(done).sizes == {"steps": 4, "kind": 2}


def test_numbers_do_not_depend_on_where_they_are_computed(done, tmp_path):
    place = f"memory://{uuid.uuid4().hex}"
    run_sweep(plan(), place)
    with open_executor(2) as executor:
        run_sweep(plan(), tmp_path / "two", executor=executor)
        away = f"memory://{uuid.uuid4().hex}"  # which other processes do not see
        run_sweep(plan(), away, executor=executor)
    digests = {
        Sweep.open(where).status()["digest"] for where in (done, place, tmp_path / "two", away)
    }
    assert len(digests) == 1


def test_a_failing_setting_is_on_record_and_stops_no_other(tmp_path):
    broken = plan(grid={"broken": [False, True], "steps": [1, 2]})
    tally = run_sweep(broken, tmp_path)
    assert (tally.computed, len(tally.failures)) == (2, 2)
    assert status(tmp_path) == (2, 2, 0)
    [error, _] = Sweep.open(tmp_path).status()["errors"]
    assert error["error"].startswith("RuntimeError: broken on purpose (toy.py")
    assert error["settings"] == {"broken": True, "steps": 1}
    assert np.isnan(open_sweep(tmp_path)["mean"].sel(broken=True)).all()
    assert len(table(tmp_path)) == 2

    again = run_sweep(broken, tmp_path)  # left alone, and still told
    assert (again.computed, again.reused, len(again.failures)) == (0, 2, 2)
    retried = run_sweep(broken, tmp_path, retry_failed=True)
    assert len(retried.failures) == 2


def test_a_failure_that_passes_is_forgotten(tmp_path, monkeypatch):
    [walk] = toy.study.experiments
    faults = [True]

    def compute(settings, runs):
        if faults:
            raise MemoryError("for now")
        return walk.compute(settings, runs)

    moody = dataclasses.replace(
        toy.study, experiments=(dataclasses.replace(walk, compute=compute),)
    )
    mine = dataclasses.replace(plan(), source=dataclasses.replace(
        studies.source(TOY), load=lambda _: moody
    ))  # fmt: skip
    run_sweep(mine, tmp_path)
    assert status(tmp_path) == (0, 6, 0)
    faults.clear()
    run_sweep(mine, tmp_path)
    assert status(tmp_path) == (0, 6, 0)
    run_sweep(mine, tmp_path, retry_failed=True)
    assert status(tmp_path) == (6, 0, 0)


def test_a_damaged_cell_is_missing_and_is_computed_again(done, caplog):
    before = Sweep.open(done).status()["digest"]
    path = min((done / "pieces").glob("*.json"))
    path.write_bytes(path.read_bytes()[:-20])
    assert status(done) == (5, 0, 1)
    assert "damaged" in caplog.text
    assert int(open_sweep(done)["mean"].isnull().sum()) == 1
    assert run_sweep(plan(), done).computed == 1
    assert Sweep.open(done).status()["digest"] == before


def test_half_a_sweep_has_holes(tmp_path):
    run_sweep(plan(grid=GRID | {"steps": [2]}), tmp_path)
    store = Store.open(tmp_path)
    whole = [cell.key for cell in plan().cells()]
    record = json.loads(store.files.read("asked.json"))
    axes = [{"names": [name], "points": [[v] for v in values]} for name, values in GRID.items()]
    store.files.write("asked.json", json.dumps(record | {"axes": axes, "cells": whole}).encode())
    means = open_sweep(tmp_path)["mean"]
    assert means.isnull().sel(steps=1).all()
    assert means.notnull().sel(steps=2).all()
    assert status(tmp_path) == (2, 0, 4)


def test_the_dataset_is_read_when_it_is_used(done):
    results = open_sweep(done)
    for path in (done / "pieces").glob("*.json"):
        path.unlink()
    assert results.sizes == {"steps": 3, "kind": 2}
    assert results.attrs["runs"] == 120
    # what `open` looked at to learn the names is there; nothing was read twice
    assert results["mean"].isel(steps=0).values.shape == (2,)


def of_results(summarize):
    """The toy study with another summary of its experiment, from the steps."""
    [walk] = toy.study.experiments
    mine = dataclasses.replace(walk, summarize=lambda dataset, settings: summarize(settings.steps))
    return dataclasses.replace(
        studies.source(TOY), load=lambda _: dataclasses.replace(toy.study, experiments=(mine,))
    )


def summarized(place, summarize):
    """A sweep of three cells whose results are what a function of the steps gives."""
    source = of_results(summarize)
    content = {"experiment": f"{TOY}/walk", "runs": 2, "grid": {"steps": [1, 2, 3]}}
    return run_sweep(make_plan(content, lambda _: source), place)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (lambda steps: {"rate": 1 / (steps - 1)}, "ZeroDivisionError: division by zero .test_dir"),
        (lambda steps: {"what": object()}, "summarize must give what JSON can hold"),
        (lambda steps: {"when": np.datetime64("2020-01-01")}, "summarize must give what JSON"),
        (lambda steps: {1: 0.5, "1": 0.25}, "2 results have the name .1.; keep one"),
        (lambda steps: [1, 2], r"summarize must give results by name, gave \[1, 2\]"),
        *(
            (lambda steps, v=v: lab_summarize(xr.Dataset({"x": ("run", v)})), "'x' has no numbers")
            for v in (["a"], np.array([object()]), np.array(["2020"], "datetime64[s]"), [1j])
        ),
    ],
)
def test_a_summary_that_fails_is_told_as_a_computation_that_does(results, message, tmp_path):
    with pytest.raises(UserError, match=f"experiment 'walk' failed: .*{message}"):
        run_experiment(of_results(results), "walk", toy.Walk(steps=1), runs=2)
    tally = summarized(tmp_path, results)
    assert len(tally.failures) in (1, 3)


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_where_others_are_numbers_a_sentence_is_no_number(bad, tmp_path):
    def summarize(steps):
        number = told([math.inf if steps == bad else 7.0])
        return {
            "end": {"mean": number}, "path": [number, 1.0], "none": told([math.nan]),
            "rate": "unknown" if steps == bad else 0.5, "word": "abc"[steps - 1],
        }  # fmt: skip

    summarized(tmp_path, summarize)
    rows, found = table(tmp_path), open_sweep(tmp_path)
    assert Sweep.open(tmp_path).results(Sweep.open(tmp_path).keys[bad - 1])["end"] == {
        "mean": "nothing, without 1 of 1 that are not finite"
    }
    for values in (rows["end_mean"], found.end_mean, found.path[:, 0]):
        assert np.sum(np.isnan(np.asarray(values, dtype=float))) == 1
    assert found.path[:, 1].values.tolist() == [1.0] * 3
    assert rows["none"].isna().all()
    assert np.isnan(found.none).all()
    assert rows["rate"].dtype == found.rate.dtype == np.float64
    assert rows["word"].tolist() == found.word.values.tolist() == ["a", "b", "c"]
    assert len(query(rows, "end_mean < 9", sort="end_mean")) == 2


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            {"steps": 7},
            "the result 'steps' has the name of the setting 'steps'; give the result another",
        ),
        ({"h_low": 1, "h": {"low": 3}}, "two results are named 'h_low' in tables; give one"),
        ({"h": {"estimate": 1, "low": [1, 2]}, "h_low": 3}, "two results are named 'h_low'"),
    ],
)
def test_no_result_takes_the_place_of_a_setting_or_of_another_result(results, message, tmp_path):
    summarized(tmp_path, lambda steps: results)
    for read in (table, open_sweep):
        with pytest.raises(UserError, match=message):
            read(tmp_path)


def test_a_result_may_say_a_setting_again(tmp_path):
    summarized(tmp_path, lambda steps: {"steps": steps, "twice": 2 * steps})
    assert table(tmp_path).to_dict("list") == {"steps": [1, 2, 3], "twice": [2, 4, 6]}
    assert open_sweep(tmp_path).twice.sel(steps=3) == 6


def test_indexing_before_and_after_reading_agree(done):
    lazy, read = open_sweep(done), open_sweep(done).load()
    for index in (
        {"steps": 1},
        {"steps": [2, 0]},
        {"kind": slice(1, None)},
        {"steps": slice(None, None, -1)},
    ):
        np.testing.assert_array_equal(lazy["mean"].isel(index), read["mean"].isel(index))


def test_settings_that_move_along_are_coordinates(tmp_path):
    run_sweep(plan(grid={}, zip=[{"steps": [1, 2], "drift": [0.1, 0.2]}]), tmp_path)
    results = open_sweep(tmp_path)
    assert results["mean"].dims == ("steps",)
    assert results.drift.dims == ("steps",)
    assert list(table(tmp_path).columns[:2]) == ["steps", "drift"]


def test_results_that_are_lists_have_dimensions(tmp_path):
    content = {
        "experiment": "liu2019/phase-prior", "runs": 3,
        "settings": {"k": 4, "angles": 2, "ratios": 3, "steps": 200, "step_size": 0.1},
        "grid": {"alignment": [0.5, 1.0]},
    }  # fmt: skip
    run_sweep(make_plan(content, studies.source), tmp_path)
    results = open_sweep(tmp_path)
    assert results.success_rate.dims == ("alignment", "success_rate_0", "success_rate_1")
    assert results.success_rate.shape == (2, 2, 3)
    assert results.success_rate.isel(alignment=0, success_rate_1=2).shape == (2,)
    assert "success_rate" not in table(tmp_path)


def test_kept_runs_are_pieces_that_run_finds(tmp_path):
    run_sweep(plan(), tmp_path, keep=True)
    document = run_experiment(
        studies.source(TOY), "walk", toy.Walk(steps=2), runs=120, out=tmp_path
    )
    assert document["pieces"] == {"computed": 0, "reused": 2}


def test_runs_can_be_kept_afterwards(done):
    cells = len(list((done / "pieces").glob("*.json")))
    assert run_sweep(plan(), done, keep=True).computed == 6
    assert len(list((done / "pieces").glob("*.json"))) == cells + 12


def test_what_is_needed_to_repeat_it_is_on_record(done):
    record = Sweep.open(done).record
    assert record["experiment"] == f"{TOY}/walk"
    assert {"jax", "numpy", "whytrain", "python"} <= set(record["versions"])
    assert len(record["edition"]) == 64


def test_an_estimate_writes_nothing(tmp_path):
    cost = sweep_cost(plan(), tmp_path / "out")
    assert (cost.cells, cost.missing) == (6, 6)
    assert cost.seconds > 0
    assert cost.bytes > 100
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="the setting that was tried failed: broken on purpose"):
        sweep_cost(plan(grid={"broken": [True]}), tmp_path / "out")


def test_filters_and_sorting(done):
    rows = query(table(done), "steps > 1 and kind == 'coin'", "mean", descending=True)
    assert rows["steps"].tolist() == [3, 2]
    assert list(query(table(done), columns=["steps"]).columns) == ["steps"]
    assert (len(query(table(done), "1 < 2")), len(query(table(done), "1 > 2"))) == (6, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"condition": "stepz > 1"}, "cannot use the condition 'stepz > 1': .*the columns are"),
        ({"condition": "steps >"}, "cannot use the condition"),
        ({"condition": "@__import__('os')"}, "cannot use the condition"),
        ({"condition": "steps - 1"}, "must be true or false of each row.*'steps - 1' is not"),
        ({"condition": "[1, 2]"}, "must be true or false of each row"),
        ({"condition": "steps"}, "must be true or false of each row"),
        ({"condition": "a = steps > 1"}, "must be true or false of each row"),
        ({"sort": "man"}, "there is no column 'man'; did you mean 'mean'"),
        ({"columns": ["zzz"]}, "there is no column 'zzz'; the columns are steps, kind"),
    ],
)
def test_a_question_that_is_not_understood_is_told(words, message, done):
    with pytest.raises(UserError, match=message):
        query(table(done), **words)


def test_exports(done, tmp_path):
    import pandas as pd

    export(table(done), csv=tmp_path / "a.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), table(done), check_dtype=False)
    with pytest.raises(UserError, match="cannot write to"):
        export(table(done), csv=tmp_path / "none" / "a.csv")
    with pytest.raises(UserError, match=r"a table needs a file to be written to, got '\.'"):
        export(table(done), csv=Path())


def test_parquet_needs_a_package(done, tmp_path):
    with pytest.raises(UserError, match=r"pip install 'whytrain\[parquet\]'"):
        export(table(done), csv=tmp_path / "a.csv", parquet=tmp_path / "a.pq")
    assert not list(tmp_path.glob("*a.*"))


@pytest.mark.parametrize("wrong", ["none/a.csv", "there", "a.pq"])
def test_of_two_files_none_is_written_where_one_cannot_be(wrong, done, tmp_path, monkeypatch):
    import pandas as pd

    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda *_, **__: b"")
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"cannot write to|need a file each"):
        export(table(done), parquet=tmp_path / "a.pq", csv=tmp_path / wrong)
    with pytest.raises(UserError, match=r"cannot write to|need a file each"):
        export(table(done), csv=tmp_path / "a.pq", parquet=tmp_path / wrong)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.optional("pyarrow")
def test_parquet_is_written(done, tmp_path):
    import pandas as pd

    pytest.importorskip("pyarrow")
    export(table(done), tmp_path / "a.pq", "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.pq"), table(done))


def test_verification_finds_damage_and_difference(done):
    run_experiment(studies.source(TOY), "walk", toy.Walk(), runs=250, out=done)
    clean = verify(done, studies.source, sample=100)
    assert (clean.pieces, clean.damaged, clean.recomputed, clean.different) == (10, (), 10, ())

    store = Store.open(done)
    keys = [cell.key for cell in plan().cells()]
    forged = store.get(keys[0])
    forged.record["results"]["mean"]["estimate"] += 1e-15
    store.put(keys[0], dataclasses.replace(forged, record={
        name: value for name, value in forged.record.items() if name != "archive"
    }))  # fmt: skip
    store.files.write(f"pieces/{keys[1]}.json", b"{")
    found = verify(done, studies.source, sample=100)
    assert found.different == (keys[0],)
    assert found.damaged == (keys[1],)


def test_a_piece_of_another_version_cannot_be_verified(done):
    edited = dataclasses.replace(studies.source(TOY), edition="changed")
    with pytest.raises(UserError, match="was computed by another version"):
        verify(done, lambda _: edited)


def test_a_directory_without_a_sweep_is_told(tmp_path):
    Store.open(tmp_path)
    with pytest.raises(UserError, match="does not say what was asked for"):
        Sweep.open(tmp_path)
    with pytest.raises(UserError, match="is not a run directory"):
        Sweep.open(tmp_path / "none")


def test_a_run_is_a_sweep_of_one_setting(tmp_path):
    found = run_experiment(studies.source(TOY), "walk", toy.Walk(), runs=250, out=tmp_path)
    again = reopen(tmp_path, studies.source)
    told = again.status()
    assert (told["command"], told["cells"], told["done"]) == ("run", 1, 1)
    assert again.table()["mean"].tolist() == [found["results"]["mean"]["estimate"]]
    assert verify(tmp_path, studies.source, sample=100).different == ()
    page = report.write(again, tmp_path).read_text()
    assert "Runs of" in page
    assert "mean_low" in page


def test_a_directory_answers_for_what_was_asked_last(done, tmp_path):
    assert reopen(done, studies.source).status()["command"] == "sweep"
    page = report.write(reopen(done, studies.source), tmp_path / "page").read_text()
    assert "6 of 6 settings" in page
    reproduce(studies.source(TOY), "quick", done)
    told = reopen(done, studies.source).status()
    assert (told["command"], told["study"], told["done"]) == ("reproduce", "toy", told["cells"])


def test_a_table_without_columns_is_shown(capsys):
    import pandas as pd

    show_rows(pd.DataFrame(), 20)
    assert "0 of 0 rows" in capsys.readouterr().out
