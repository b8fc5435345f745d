import dataclasses
import json
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr

import toy
from whytrain.errors import UserError
from whytrain.lab import (
    Cells,
    MemoryStore,
    NotYetRun,
    Request,
    Source,
    Store,
    altered,
    run_experiment,
)
from whytrain.lab.execution import Results, Silent, execute
from whytrain.lab.executors import Inline, WorkerDied


class Recorder:
    def __init__(self):
        self.events = []

    def start(self, counts):
        self.events.append(counts.total - counts.found)

    def show(self, counts, label):
        self.events.append((label, counts.computed, counts.failed))

    def stop(self):
        self.events.append("stop")


def source_of(study):
    return Source(lambda reference: study, study.name)


def with_block(block):
    [walk] = toy.study.experiments
    return dataclasses.replace(toy.study, experiments=(dataclasses.replace(walk, block=block),))


def walk(study=toy.study, **options):
    return run_experiment(source_of(study), "walk", toy.Walk(), **{"runs": 250} | options)


def request(**settings):
    return Request("walk", toy.Walk(**settings), 250)


def results(store, study=toy.study):
    return Results(source_of(study), study, 0, store)


def test_numbers_do_not_depend_on_blocks():
    expected = walk()["results"]
    assert [walk(with_block(block))["results"] for block in (1, 7, 249, 250, 8192)] == [
        expected
    ] * 5


def test_numbers_do_not_depend_on_the_executor():
    with ThreadPoolExecutor(3) as threads:
        assert walk(executor=threads)["results"] == walk()["results"]


def test_seeds_and_settings_matter():
    assert walk(seed=1)["results"] != walk()["results"]


def test_tasks_are_of_one_kind_where_only_numbers_differ():
    def kinds(**settings):
        return {task.kind for task in results(MemoryStore()).tasks([request(**settings)])}

    assert len(kinds()) == 1
    assert kinds() == kinds(steps=5, drift=0.1)
    assert not kinds() & kinds(kind="coin")


def test_progress_is_told_whether_the_tasks_are_of_one_experiment():
    told = []

    class Told(Silent):
        def start(self, counts):
            told.append(counts.alike)

    tasks = results(MemoryStore()).tasks([request()])
    other = dataclasses.replace(tasks[0], experiment="jump", key="other")
    for wanted in (tasks, [*tasks, other]):
        execute(wanted, MemoryStore(), Inline(), Told(), keep_going=True)
    assert told == [True, False]


def test_what_is_there_is_not_computed_again(tmp_path):
    first = walk(out=tmp_path)
    again = walk(out=tmp_path)
    assert first["pieces"] == {"computed": 3, "reused": 0}
    assert again["pieces"] == {"computed": 0, "reused": 3}
    assert again["results"] == first["results"]
    assert walk(out=tmp_path, runs=300)["pieces"] == {"computed": 1, "reused": 3}


def test_more_runs_compute_only_the_rest(tmp_path):
    for runs, computed in ((30, 1), (250, 3), (150, 1), (250, 0), (400, 2)):
        found = walk(out=tmp_path, runs=runs)
        assert found["pieces"]["computed"] == computed
        assert found["results"] == walk(runs=runs)["results"]
    counts = [json.loads(p.read_text()).get("count") for p in (tmp_path / "pieces").glob("*.json")]
    assert sum(filter(None, counts)) == 400 + 20  # 150 = 30 + 100 and then 20 of a block of 100


def test_what_is_wanted_often_is_read_once(tmp_path, monkeypatch):
    walk(out=tmp_path)
    store, asked = Store.open(tmp_path), []
    get = store.get
    monkeypatch.setattr(Store, "get", lambda self, key: asked.append(key) or get(key))
    read = results(store)
    [first], [again] = read([request()]), read([request()])
    xr.testing.assert_identical(first, again)
    assert len(asked) == len(set(asked)) == 3
    first["more"] = first.end
    assert "more" not in read([request()])[0]


def test_another_version_or_edition_is_computed_anew(tmp_path):
    walk(out=tmp_path)
    [experiment] = toy.study.experiments
    newer = dataclasses.replace(
        toy.study, experiments=(dataclasses.replace(experiment, version=2),)
    )
    assert walk(newer, out=tmp_path)["pieces"]["reused"] == 0
    edited = dataclasses.replace(source_of(toy.study), edition="changed")
    document = run_experiment(edited, "walk", toy.Walk(), runs=250, out=tmp_path)
    assert document["pieces"]["reused"] == 0


def test_a_damaged_piece_is_computed_again(tmp_path, caplog):
    first = walk(out=tmp_path)
    archive = min((tmp_path / "pieces").glob("*.zip"))
    archive.write_bytes(b"")
    again = walk(out=tmp_path)
    assert again["pieces"] == {"computed": 1, "reused": 2}
    assert again["results"] == first["results"]
    assert "damaged" in caplog.text


def test_progress_is_told_of_missing_pieces_only(tmp_path):
    recorder = Recorder()
    walk(out=tmp_path, runs=100)
    walk(out=tmp_path, progress=recorder)
    assert recorder.events == [2, ("walk", 1, 0), ("walk", 2, 0), "stop"]


def test_a_piece_asked_for_twice_is_computed_once():
    store = MemoryStore()
    tasks = results(store).tasks([request(), request(), request(drift=0)])
    tally = execute(tasks, store, Inline(), Silent())
    assert (tally.computed, tally.reused) == (6, 0)


def test_pieces_join_along_runs_and_keep_what_is_common(tmp_path):
    store = Store.open(tmp_path)
    execute(results(store).tasks([request()]), store, Inline(), Silent())
    [dataset] = results(store)([request()])
    assert dataset.sizes == {"run": 250}
    assert dataset.steps == 4


def test_the_first_failure_ends_a_run():
    recorder = Recorder()
    with pytest.raises(UserError, match=r"'walk' failed: .*broken on purpose \(toy.py, line \d+"):
        run_experiment(
            source_of(toy.study), "walk", toy.Walk(broken=True), runs=250, progress=recorder
        )
    assert recorder.events == [3, "stop"]


def test_failures_can_be_collected():
    store = MemoryStore()
    tasks = results(store).tasks([request(broken=True), request()])
    tally = execute(tasks, store, Inline(), Silent(), keep_going=True)
    assert (tally.computed, len(tally.failures)) == (3, 3)
    failed = dataclasses.replace(results(store), failures=tally.failures)
    with pytest.raises(NotYetRun, match="RuntimeError: broken on purpose"):
        failed([request(broken=True)])


def test_a_failure_is_on_record(tmp_path):
    store = Store.open(tmp_path)
    execute(
        results(store).tasks([request(broken=True)]), store, Inline(), Silent(), keep_going=True
    )
    [first, *_] = store.failures()
    assert store.failure(first)["error"].startswith("RuntimeError: broken on purpose (toy.py")
    assert "Traceback" in store.failure(first)["trace"]
    assert store.failure(first)["settings"]["broken"] is True


def test_what_is_lost_with_its_worker_is_no_failure_on_record(tmp_path):
    class Deadly(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            return super().submit(killed)

    def killed():
        raise WorkerDied("its worker died")

    store = Store.open(tmp_path)
    tasks = results(store).tasks([request()])
    with Deadly(1) as executor:
        tally = execute(tasks, store, executor, Silent(), keep_going=True)
    assert {one.error for one in tally.failures.values()} == {"WorkerDied: its worker died"}
    assert store.failures() == set()


def test_pieces_in_memory_come_back_from_other_threads():
    store = MemoryStore()
    with ThreadPoolExecutor(2) as threads:
        execute(results(store).tasks([request()]), store, threads, Silent())
    assert results(store)([request()])[0].sizes == {"run": 250}


def test_reduced_blocks_add_up_to_the_same_results():
    [walk] = toy.study.experiments
    counted = dataclasses.replace(
        walk,
        reduce=lambda dataset: xr.Dataset({"right": (dataset.end > 0).sum()}),
        summarize=lambda sums, settings: {"right": int(sums.right)},
    )
    whole, blocks = (
        dataclasses.replace(toy.study, experiments=(dataclasses.replace(counted, block=block),))
        for block in (1000, 7)
    )
    found = run_experiment(source_of(whole), "walk", toy.Walk(), runs=250)["results"]
    assert found == run_experiment(source_of(blocks), "walk", toy.Walk(), runs=250)["results"]
    assert 200 < found["right"] <= 250


def test_a_broken_executor_is_told():
    class Broken(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            return super().submit(broken)

    def broken():
        raise BrokenExecutor("all dead")

    with Broken(1) as executor, pytest.raises(UserError, match="the executor broke: all dead"):
        walk(executor=executor)


def test_missing_pieces_are_counted():
    with pytest.raises(NotYetRun, match="3 of 3 pieces are missing"):
        results(MemoryStore())([request()])


def test_an_experiment_must_give_the_runs_it_was_asked_for():
    [experiment] = toy.study.experiments
    short = dataclasses.replace(
        experiment, compute=lambda settings, runs: xr.Dataset({"end": ("run", [1.0])})
    )
    study = dataclasses.replace(toy.study, experiments=(short,))
    with pytest.raises(UserError, match="must give a dimension 'run' of length 100"):
        walk(study)


@pytest.mark.parametrize("runs", [0, -1, 2**32 + 1])
def test_impossible_numbers_of_runs_are_refused_before_anything_is_written(runs, tmp_path):
    with pytest.raises(UserError, match="number of runs must be an integer from 1"):
        walk(runs=runs, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_impossible_seeds_are_refused_before_anything_is_written(seed, tmp_path):
    with pytest.raises(UserError, match="seed must be an integer from 0"):
        walk(seed=seed, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def compute_instead(compute, **others):
    [experiment] = toy.study.experiments
    other = dataclasses.replace(experiment, compute=compute, **others)
    return dataclasses.replace(toy.study, experiments=(other,))


def test_numbers_that_one_claim_changes_are_not_those_of_the_next():
    store = MemoryStore()
    execute(results(store).tasks([request()]), store, Inline(), Silent())
    read = results(store)
    [cell] = read.cells([request()])
    before = cell.data.end.values.copy()

    def in_place(values):
        values *= 1.3
        return values

    [planted] = altered("end", in_place)(Cells([cell]))
    np.testing.assert_array_equal(planted.data.end, 1.3 * before)
    with pytest.raises(ValueError, match="read-only"):
        cell.data.end.values += 100
    np.testing.assert_array_equal(read([request()])[0].end, before)


def test_what_has_no_dimension_run_must_be_the_same_for_all_runs():
    def compute(settings, runs):
        return xr.Dataset({"end": ("run", np.ones(len(runs))), "first": float(runs.first)})

    with pytest.raises(UserError, match=r"'first' has no dimension 'run' and is not the same"):
        walk(compute_instead(compute))


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda one: {"a": one}, "compute must give an xarray.Dataset, not one of type dict"),
        (lambda one: xr.Dataset({"a/b": one}), "a variable cannot be named 'a/b'"),
    ],
)
def test_what_cannot_be_kept_is_told_where_it_is_computed(give, words):
    def compute(settings, runs):
        return give(xr.DataArray(np.ones(len(runs)), dims="run"))

    with pytest.raises(UserError, match=words):
        walk(compute_instead(compute))


def test_an_exit_in_a_study_is_a_failure():
    def compute(settings, runs):
        raise SystemExit(0)

    with pytest.raises(UserError, match=r"RuntimeError: exit\(0\)"):
        walk(compute_instead(compute))
