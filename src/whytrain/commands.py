"""The commands `reproduce`, `run` and `sweep` as functions, with the command line's words.

The command line calls them too. What they return shows itself as a table.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from whytrain import lab, report, studies
from whytrain._signs import RESULTS as RESULTS
from whytrain._tables import Shown, Table, flat, in_words
from whytrain.errors import UserError
from whytrain.lab.execution import Tally
from whytrain.notebook import NotebookProgress, in_notebook

__all__ = ["Result", "reproduce", "run", "sweep"]


Values = Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Result(Shown, Mapping[str, Any]):
    """What the runs of one experiment found at one setting: a mapping from names to results.

    Attributes:
        said: What `whytrain run --json` prints.
    """

    said: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """At which settings, derived defaults filled in."""
        return self.said["settings"]

    def document(self) -> dict[str, Any]:
        """What `whytrain run --json` prints."""
        return dict(self.said)

    def shown(self) -> Table:
        """The results, one a row."""
        said = self.said
        rows = [(name, in_words(value)) for name, value in flat(said["results"])]
        about = f"{said['runs']} runs, seed {said['seed']}"
        title = f"{said['study']}/{said['experiment']}"
        return Table(title, ("result", ">value"), rows, (f"{said['seconds']:.1f} s",), about)

    def __getitem__(self, name: str) -> Any:
        return self.said["results"][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.said["results"])

    def __len__(self) -> int:
        return len(self.said["results"])

    def __hash__(self) -> int:
        return id(self)


def reproduce(
    study: str,
    preset: str | None = None,
    settings: Values | None = None,
    *,
    claim: str | Sequence[str] = (),
    check: bool = False,
    seed: int = 0,
    out: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: lab.Progress | None = None,
    **more: Any,
) -> lab.Reproduction:
    """Test every claim of a study, and write the report: `whytrain reproduce`.

    Args:
        study: Built-in study, or path of a .py file.
        preset: `"quick"` (the default) or `"paper"`.
        settings: Judge the claims at these, by name.
        claim: Only this one, or these, by id.
        check: Plant each claim's faults: do they turn its verdict?
        seed: Seed of every random number.
        out: Run directory; `whytrain-results/STUDY-PRESET` if None. What it holds is not computed
            again.
        workers: Processes; this one by default. No result depends on it. In a script they are for
            `if __name__ == "__main__":` only, since each of them imports the script.
        scheduler: Dask scheduler, `"tcp://HOST:PORT"`, or `"local"`.
        progress: Who is told how far the work is; in a notebook a bar by default.
        **more: More settings: `k=49` is `--set k=49`.

    Returns:
        The verdicts, as a table; its `figures` are drawn by name, its `report` is a file.

    Raises:
        UserError: If something asked for is not allowed; nothing has been written then.

    Example:
        ::

            found = wt.reproduce("liu2019")
            found.figures["success-rate"]
            wt.reproduce("liu2019", claim="escape", k=49)
    """
    source = studies.source(study)
    name, presets = source.study().name, source.study().presets
    preset = source.study().preset(preset or presets[0])
    claims = [claim] if isinstance(claim, str) else list(claim)
    written = {key: _written(value) for key, value in {**(settings or {}), **more}.items()}
    if written and not claims:
        raise UserError("say with --claim ID which claim is to be judged at these settings")
    if out is not None and "://" in str(out):
        raise UserError(f"reproduce writes a report and needs a local directory, got {str(out)!r}")
    directory = Path(out or f"{RESULTS}/{_directory(name, preset, claims, written)}")
    with _computing(workers, scheduler, progress) as how:
        found = lab.reproduce(
            source, preset, directory, seed=_plain(seed), check=check, claims=claims,
            settings=written, **how,
        )  # fmt: skip
    drawings = report.draw_all(found)
    path = report.write(found, directory, drawings)
    return replace(found, figures={each.name: each for each in drawings}, report=path)


def run(
    target: str,
    settings: Values | None = None,
    *,
    runs: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: lab.Progress | None = None,
    **more: Any,
) -> Result:
    """Run one experiment at one setting: `whytrain run`.

    Args:
        target: `"STUDY/EXPERIMENT"`.
        settings: Settings by name.
        runs: How many runs; by default the experiment's.
        seed: Seed of every random number.
        out: Run directory, path or URL, that makes it resumable; nothing is kept without one.
        workers: Processes, as in `reproduce`.
        scheduler: Dask scheduler, `"tcp://HOST:PORT"`, or `"local"`.
        progress: Who is told how far the work is; in a notebook a bar by default.
        **more: More settings: `k=49` is `--set k=49`.

    Returns:
        The results, as a table, and by name: `found["success_rate"]["estimate"]`.

    Raises:
        UserError: If something asked for is not allowed.

    Example:
        >>> import whytrain as wt
        >>> wt.run("liu2019/success-rate", k=4, runs=10, steps=20)["outcomes"]["diverged"]
        0
    """
    reference, name = split_target(target)
    source = studies.source(reference)
    experiment = source.study().experiment(name)
    chosen = {**(settings or {}), **more}
    pairs = [f"{key}={_written(value)}" for key, value in chosen.items()]
    asked = lab.parse(experiment.settings, pairs)
    with _computing(workers, scheduler, progress) as how:
        return Result(
            lab.run_experiment(
                source,
                name,
                asked,
                runs=experiment.runs if runs is None else _plain(runs),
                seed=_plain(seed),
                out=out,
                **how,
            )
        )


def sweep(
    what: str | Path | Callable[..., Any],
    *,
    runs: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: lab.Progress | None = None,
    **axes: Any,
) -> xr.Dataset:
    """Run an experiment, or call a function, at every point of a grid: `whytrain sweep`.

    Args:
        what: `"STUDY/EXPERIMENT"`; or the path of a .toml file, as `whytrain sweep` takes it; or a
            function of one value of each axis by name, and of `keys` (see `runs`), that returns a
            number, a mapping from names to numbers, or a dataset.
        runs: How many runs a setting has; for a function, how many random keys each point gets, as
            the argument `keys`, none by default. The keys of a point do not depend on the grid.
        seed: Seed of every random number; 0 by default.
        out: Run directory, path or URL: what it holds is not computed again. Nothing is kept
            without one, and a function's values never are.
        workers: Processes, as in `reproduce`; a function is called in this one.
        scheduler: Dask scheduler, `"tcp://HOST:PORT"`, or `"local"`.
        progress: Who is told how far the work is; in a notebook a bar by default.
        **axes: The values of each axis; of an experiment also single values, the same everywhere.

    Returns:
        A dataset with a dimension for each axis, in the order given, and a variable for each
        result. A function's bare number is named `value`. Where a setting failed there is NaN, and
        a warning.

    Raises:
        UserError: If something asked for is not allowed.

    Example:
        >>> import whytrain as wt
        >>> diagram = wt.sweep(lambda tilt, noise: tilt > noise, tilt=[1, 2, 3], noise=[0, 2])
        >>> diagram.value.values.astype(int)
        array([[1, 0],
               [1, 0],
               [1, 1]])
        >>> wt.sweep("liu2019/success-rate", k=[4, 9], runs=10, steps=20).outcomes_diverged.values
        array([0., 0.])
    """
    if callable(what):
        if (out, workers, scheduler) != (None, None, None):
            raise UserError("a function is swept here: out, workers, scheduler are for experiments")
        return lab.sweep(what, runs=_plain(runs), seed=_plain(seed) or 0, **axes)
    plan = _plan(str(what), _plain(runs), _plain(seed), axes)
    with tempfile.TemporaryDirectory() as scratch:
        place = scratch if out is None else out
        tally = run_plan(plan, place, workers=workers, scheduler=scheduler, progress=progress)
        _warn_of_failures(tally)
        found = lab.open(place)
        return found.load() if out is None else found


def run_plan(
    plan: lab.Plan,
    out: str | Path,
    *,
    keep: bool = False,
    retry_failed: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: lab.Progress | None = None,
) -> Tally:
    """Compute every setting of a sweep that the run directory does not have.

    Args:
        plan: The sweep.
        out: The run directory, a path or a URL.
        keep: Whether all runs are kept beside their summaries.
        retry_failed: Whether to try settings again that failed before.
        workers: Processes.
        scheduler: Dask scheduler.
        progress: Who is told.

    Returns:
        What was done.
    """
    with _computing(workers, scheduler, progress) as how:
        return lab.run_sweep(plan, out, keep=keep, retry_failed=retry_failed, **how)


def split_target(target: str) -> tuple[str, str]:
    """Take `STUDY/EXPERIMENT` apart.

    Args:
        target: What was written.

    Raises:
        UserError: If it has another form.
    """
    study, slash, name = target.rpartition("/") if isinstance(target, str) else ("", "", "")
    if not slash or not name or name.endswith(".py"):
        raise UserError(
            f"give STUDY/EXPERIMENT, got {target!r}; `whytrain list` shows what there is"
        )
    return study, name


@contextmanager
def _computing(
    workers: int | None, scheduler: str | None, progress: lab.Progress | None
) -> Iterator[dict[str, Any]]:
    """Who computes, and who is told."""
    if progress is None and in_notebook():
        progress = NotebookProgress()
    executor: Executor | None
    with lab.open_executor(workers, scheduler) as executor:
        yield {"executor": executor, "progress": progress}


def _plan(what: str, runs: int | None, seed: int | None, values: Values) -> lab.Plan:
    if what.endswith(".toml"):
        if (runs, seed, *values) != (None, None):
            raise UserError(f"{what} says runs, seed, settings and axes; change them there")
        return lab.read_plan(what, studies.source)
    axes = {name: list(value) for name, value in values.items() if _is_axis(value)}
    content = {
        "experiment": what,
        "settings": {name: value for name, value in values.items() if name not in axes},
        "grid": axes,
        "seed": seed or 0,
        **({} if runs is None else {"runs": runs}),
    }
    return lab.make_plan(content, studies.source)


def _is_axis(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _warn_of_failures(tally: Tally) -> None:
    if tally.failures:
        first = next(iter(tally.failures.values())).error
        told = f"{len(tally.failures)} settings failed, the first with: {first}"
        warnings.warn(told, stacklevel=3)


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item() if hasattr(value, "item") else value


def _written(value: Any) -> str:
    """A value as it is written behind `--set NAME=`."""
    plain = _plain(value)
    if plain is None or isinstance(plain, bool):
        return str(plain).lower()
    return repr(plain) if isinstance(plain, float) else str(plain)


def _directory(study: str, preset: str, claims: Sequence[str], settings: Mapping[str, str]) -> str:
    """Of a run where none is given: another one for some of the claims."""
    return "-".join([study, preset, *claims, *(f"{k}={v}" for k, v in settings.items())])
