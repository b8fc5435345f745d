"""Claims held against numbers that a test makes up: where they are true, and where they are not."""

import functools

import numpy as np
import pytest
import xarray as xr

from whytrain.lab import Cell, Cells
from wording import slips


def world(claim, kinds):
    """What a claim asks for, where it is true; `kinds` makes the numbers of each experiment.

    Each takes settings, the number of runs, and a random generator; it gives a dataset, or numbers
    over the runs by name.
    """
    rng = np.random.default_rng(0)
    cells = []
    for request in claim.requests("quick"):
        found = kinds[request.experiment](request.settings, request.runs, rng)
        if isinstance(found, dict):
            found = xr.Dataset({name: ("run", values) for name, values in found.items()})
        cells.append(Cell(request.settings, found))
    return Cells(cells)


def gate(topic, kinds, false):
    """A test of a topic's claims where they are true, with their faults, and where they are false.

    Args:
        topic: The topic.
        kinds: By experiment, what gives numbers for settings, runs and a random generator.
        false: By the id of a claim that is expected to hold, what makes it false.
    """
    claims = {claim.id: claim for claim in topic.claims}
    assert set(false) == {id for id, claim in claims.items() if claim.expected == "supported"}
    true = functools.cache(lambda id: world(claims[id], kinds))
    opposite = {"supported": "contradicted", "contradicted": "supported"}
    cases = []
    for id, claim in claims.items():
        assert claim.faults
        cases.append(pytest.param(id, None, claim.expected, id=id))
        cases += [
            pytest.param(id, fault.plant, opposite[claim.expected], id=f"{id}, {fault.what}")
            for fault in claim.faults
        ]
        cases += [
            pytest.param(id, plant, "contradicted", id=f"{id}-{place}")
            for place, plant in enumerate(false.get(id, ()))
        ]

    @pytest.mark.parametrize(("id", "plant", "word"), cases)
    def test(id, plant, word):
        found = claims[id].judge(plant(true(id)) if plant else true(id))
        assert found.word == word, found
        assert not slips(found.note)
        assert plant or np.isfinite(found.deciding.estimate.value)

    return test
