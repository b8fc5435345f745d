"""The gate for studies: right ones pass, and each fault is named in one line."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import toy
from whytrain import studies
from whytrain.lab import Fault, Figure, Request, reopen, reproduce
from whytrain.testing import check_study

STUDY = toy.study
SMALL = [Request("walk", toy.Walk(), 7)]


@pytest.mark.parametrize("name", studies.names())
def test_every_study_of_the_package(name):
    check_study(studies.load(name))


def test_a_user_s_study_with_its_numbers(tmp_path):
    done = reproduce(studies.source(toy.__file__), "quick", tmp_path / "out", check=True)
    check_study(STUDY, done, small=SMALL)
    check_study(STUDY, reopen(tmp_path / "out", studies.source))


def claimed(**changes):
    return replace(STUDY, claims=(replace(toy.UP, **changes),))


def tried(**changes):
    return replace(STUDY, experiments=(replace(STUDY.experiments[0], **changes),))


def drawn(settings, runs):
    """What depends on the first run of a piece."""
    ends = np.arange(len(runs)) + 0.0
    return xr.Dataset({"end": ("run", ends), "steps": settings.steps})


def refused(preset):
    raise KeyError(preset)


COUNT = itertools.count(1)
WRONG = [
    (claimed(title=""), "claim 'up' has no title"),
    (claimed(statement=""), "states nothing"),
    (claimed(does_not_show="much"), "leaves open nothing, in no sentence"),
    (claimed(faults=()), "has no planted fault, and no reason why"),
    (claimed(no_fault="it is too hard"), "has faults and a reason for none"),
    (claimed(figures=("picture",)), "names a figure 'picture' that the study has not"),
    (claimed(requests=refused), "claim 'up' at 'quick' fails: KeyError"),
    (claimed(requests=lambda preset: []), "asks for nothing at 'quick'"),
    (claimed(requests=lambda preset: [Request("walk", toy.Walk(), next(COUNT))]), "asks for other"),
    (claimed(requests=lambda preset: [Request("run", toy.Walk(), 3)]), "asks 'run', no experiment"),
    (claimed(requests=lambda preset: [Request("walk", None, 3)]), "asks at no Walk"),
    (claimed(requests=lambda preset: [Request("walk", toy.Walk(), 0)]), "asks for 0 runs"),
    (
        claimed(faults=(Fault("no numbers", requests=refused),)),
        "fault 'no numbers' at 'quick' fails",
    ),
    (replace(STUDY, figures=(Figure("ends", "", toy.requests, toy.draw),)), "'ends' has no title"),
    (tried(compute=lambda settings, runs: 3), "gives a int, no dataset"),
    (tried(compute=lambda settings, runs: xr.Dataset({"end": 1.0})), "has no dimension `run`"),
    (tried(compute=drawn), "end depends on how the runs are cut into pieces"),
    (tried(summarize=lambda dataset, settings: {"f": print}), "JSON cannot hold its summary"),
    (tried(summarize=lambda dataset, settings: 3), "its summary"),
    (tried(summarize=lambda dataset, settings: {}["x"]), "its summary fails: KeyError"),
]


@pytest.mark.parametrize(("study", "message"), WRONG, ids=[message for _, message in WRONG])
def test_each_fault_is_told_in_one_line(study, message):
    with pytest.raises(AssertionError, match=message) as told:
        check_study(study, small=SMALL)
    assert "\n" not in str(told.value)


def test_a_fault_that_turns_nothing_and_a_word_that_is_not_expected(tmp_path):
    done = reproduce(studies.source(toy.__file__), "quick", tmp_path / "out", check=True)
    with pytest.raises(AssertionError, match="claim 'up' is supported, expected is contradicted"):
        check_study(STUDY, replace(done, outcomes=[(replace(toy.UP, expected="contradicted"),
                                                    done.outcomes[0][1])]))  # fmt: skip
    weak = [(trial, done.outcomes[0][1]) for trial, _ in done.faults]
    with pytest.raises(AssertionError, match="'up' is supported with the fault 'the drift is"):
        check_study(STUDY, replace(done, faults=weak))
    with pytest.raises(AssertionError, match="the numbers that fault 'the drift is turned round'"):
        check_study(STUDY, replace(done, faults=[]))
