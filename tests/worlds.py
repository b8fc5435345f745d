"""Worlds that a test makes up: where a claim is true it is supported, elsewhere contradicted."""

import numpy as np
import pytest
import xarray as xr

from judged import rederived, world
from whytrain.landscapes import Outcome
from wording import slips


def ended(successes, runs):
    """Runs of which so many reached the global optimum, and the others the spurious one."""
    codes = np.where(np.arange(runs) < successes, Outcome.GLOBAL, Outcome.SPURIOUS)
    return xr.Dataset({"outcome": ("run", codes.astype(np.int8)), "steps": ("run", codes * 10)})


def gate(topic, true, false):
    """A test of a topic's claims in such worlds, and with the faults planted that need no runs.

    Args:
        topic: The topic.
        true: By the id of a claim, the datasets that its requests find where it is true.
        false: By the id of a claim, several such lists, in each of which it is false.
    """
    claims = {claim.id: claim for claim in topic.claims}
    assert set(claims) == set(true) == set(false)
    cases = [pytest.param(claims[id], true[id], None, "supported", id=id) for id in claims]
    for id, claim in claims.items():
        cases += [
            pytest.param(claim, datasets, None, "contradicted", id=f"{id}-{place}")
            for place, datasets in enumerate(false[id])
        ]
        planted = [fault for fault in claim.faults if fault.requests is None]
        assert planted
        cases += [
            pytest.param(claim, true[id], fault, "contradicted", id=f"{id}, {fault.what}")
            for fault in planted
        ]

    @pytest.mark.parametrize(("claim", "datasets", "fault", "word"), cases)
    def test(claim, datasets, fault, word):
        cells = world(claim, datasets)
        found = claim.judge(fault.plant(cells) if fault else cells)
        assert found.word == rederived(claim, found) == word
        assert found.runs > 0
        assert not slips(found.note)

    return test
