"""Whether a study says all that a reader needs, and whether its claims can turn out false."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from whytrain._json import jsonable
from whytrain.lab import Claim, Reproduction, Request, Runs, Study
from whytrain.testing.told import tried


def check_study(
    study: Study, numbers: Reproduction | None = None, *, small: Sequence[Request] = ()
) -> None:
    """Hold a study to what every study promises.

    - Every claim has a title, a sentence on what it does not show, planted faults or the reason why
      there are none, and figures that exist;
    - the numbers that claims, faults and figures ask for can be asked for at every preset, of
      experiments that exist, with settings of their class; asked again they are the same;
    - with `numbers`, every verdict is the expected one and every fault turns it;
    - each of `small` gives one entry a run along `run`, the same bits in one piece or two, and a
      summary that JSON can hold.

    Args:
        study: The study.
        numbers: Its reproduction with faults: `lab.reproduce(..., check=True)`, or
            `lab.reopen(DIRECTORY, studies.source)`.
        small: Experiments to run here, at settings that take little time.

    Raises:
        AssertionError: Something is wrong.

    Example:
        >>> from whytrain import studies
        >>> check_study(studies.load("liu2019"))
    """
    for claim in study.claims:
        _claim(study, claim)
    for figure in study.figures:
        what = f"{study.name}: figure {figure.name!r}"
        assert figure.title, f"{what} has no title"
        for preset in study.presets:
            _asked(what, study, figure.requests, preset)
    for request in small:
        _run(study, request)
    if numbers is not None:
        _judged(numbers)


def _claim(study: Study, claim: Claim) -> None:
    what = f"{study.name}: claim {claim.id!r}"
    assert claim.title, f"{what} has no title"
    assert claim.statement, f"{what} states nothing"
    assert claim.does_not_show.endswith("."), f"{what} leaves open nothing, in no sentence"
    assert claim.faults or claim.no_fault, f"{what} has no planted fault, and no reason why"
    assert not (claim.faults and claim.no_fault), f"{what} has faults and a reason for none"
    for name in claim.figures:
        known = {figure.name for figure in study.figures}
        assert name in known, f"{what} names a figure {name!r} that the study has not"
    plans = {}
    for preset in study.presets:
        asked = _asked(what, study, claim.requests, preset)
        for fault in claim.faults:
            if fault.requests:
                _asked(f"{what}, fault {fault.what!r}", study, fault.requests, preset)
        plans.setdefault(str(asked), set()).add(claim.plan(preset))
        assert claim.plan(preset) in plans[str(asked)], f"{what} is planned anew at each call"
    several = [plan for of in plans.values() for plan in of]
    assert len(set(several)) == len(plans), f"{what}: its plan does not tell its requests apart"


def _asked(
    what: str, study: Study, requests: Callable[[str], Sequence[Request]], preset: str
) -> list[Request]:
    """What is asked for at a preset, looked at."""
    asked = list(tried(f"{what} at {preset!r}", requests, preset))
    assert asked == list(requests(preset)), f"{what} asks for other numbers when asked again"
    assert asked, f"{what} asks for nothing at {preset!r}"
    known = {one.name: one for one in study.experiments}
    for request in asked:
        assert request.experiment in known, f"{what} asks {request.experiment!r}, no experiment"
        kind = known[request.experiment].settings
        assert isinstance(request.settings, kind), f"{what} asks at no {kind.__name__}"
        assert request.runs >= 1, f"{what} asks for {request.runs} runs"
    return asked


def _run(study: Study, request: Request) -> None:
    experiment, count = study.experiment(request.experiment), request.runs
    what = f"{study.name}: experiment {experiment.name!r}"
    assert count >= 2, f"{what} is to be tried on 2 runs or more"
    whole, *parts = (
        tried(what, experiment.compute, request.settings, Runs(0, 7, first, size))
        for first, size in ((0, count), (0, count // 2), (count // 2, count - count // 2))
    )
    assert isinstance(whole, xr.Dataset), f"{what} gives a {type(whole).__name__}, no dataset"
    assert whole.sizes.get("run") == count, f"{what} has no dimension `run` of {count} entries"
    for name, values in whole.data_vars.items():
        along = "run" in values.dims
        pieces = [part[name] for part in parts]
        joined: Any = xr.concat(pieces, "run") if along else pieces[0]
        same = np.array_equal(joined.values, values.values, equal_nan=values.dtype.kind == "f")
        assert same, f"{what}: {name} depends on how the runs are cut into pieces"
    results = tried(f"{what}: its summary", experiment.results, whole, request.settings)
    _json(what, results)


def _json(what: str, results: Any) -> None:
    assert isinstance(results, dict), f"{what}: its summary is a {type(results).__name__}, no dict"
    try:
        json.dumps(jsonable(results), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{what}: JSON cannot hold its summary: {error}") from None


def _judged(numbers: Reproduction) -> None:
    name = numbers.study.name
    for claim, verdict in numbers.outcomes:
        assert verdict.word == claim.expected, (
            f"{name}: claim {claim.id!r} is {verdict.word}, expected is {claim.expected}"
            f"{_why(verdict.note)}"
        )
    tried_out = {(trial.claim.id, trial.fault and trial.fault.what) for trial, _ in numbers.faults}
    for claim, fault in _faults(numbers.study):
        assert (claim.id, fault.what) in tried_out, (
            f"{name}: the numbers that fault {fault.what!r} of {claim.id!r} asks for are missing"
        )
    for trial, verdict in numbers.faults:
        what = trial.fault.what if trial.fault else ""
        assert trial.turned(verdict), (
            f"{name}: claim {trial.claim.id!r} is {verdict.word} with the fault {what!r}"
        )


def _faults(study: Study) -> Iterable[tuple[Claim, Any]]:
    return ((claim, fault) for claim in study.claims for fault in claim.faults)


def _why(note: str) -> str:
    return f" ({note})" if note else ""
