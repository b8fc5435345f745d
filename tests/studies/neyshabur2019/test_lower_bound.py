"""The witness beside brute force, and the claims where they are true and false."""

import numpy as np
import pytest

from made_up import gate, world
from whytrain import UserError
from whytrain.lab import Cells, Runs, scaled
from whytrain.studies.neyshabur2019 import lower_bound, study

FLOOR = lower_bound.FLOOR


def witness(settings, runs, rng):
    noise = 0.01 * rng.standard_normal(runs)
    return {
        "ratio": 0.2 + noise, "spectral": np.ones(runs), "initial_ratio": 0.56 + noise,
        "over_linear": (0.2 + noise) * settings.h**0.5,
    }  # fmt: skip


test_claims = gate(
    lower_bound.TOPIC,
    {"witness": witness},
    {
        "N-T3": [scaled("ratio", (FLOOR - 0.01) / 0.2), scaled("spectral", 1.01)],
        "N-T3b": [scaled("initial_ratio", 0.8)],
        "N-C4": [scaled("over_linear", lambda s: s.h**-0.5), scaled("over_linear", 0.1)],
    },
)


@pytest.mark.parametrize("units", ["equal", "skewed"])
def test_the_witness_reaches_what_it_must(units):
    dataset = lower_bound.compute(
        lower_bound.WitnessSettings(h=8, n=9, units=units), Runs(0, 0, 0, 400)
    )
    error = float(dataset.ratio.std()) / 20
    assert float(dataset.ratio.mean()) > lower_bound.FLOOR - 4 * error
    assert float(dataset.spectral.max()) <= 1 + 1e-12


def test_the_witness_is_a_network_that_reaches_its_ratio():
    """The sum over groups once more, from the network's own outputs."""
    settings = lower_bound.WitnessSettings(h=4, n=3, units="equal")
    found = float(lower_bound.compute(settings, Runs(0, 0, 0, 1)).ratio[0])
    import jax

    with jax.enable_x64(True):
        seed = int(jax.random.bits(Runs(0, 0, 0, 1).keys()[0], dtype=np.uint32))
    sums = 2 * np.random.default_rng(seed).binomial(3, 0.5, 4) - 3
    F = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    best = 0.0
    for s in np.ndindex(3, 3, 3, 3):
        U = F * (np.array(s) - 1)
        outputs = np.maximum(U @ np.eye(4), 0).sum(axis=0)
        best = max(best, float(sums @ outputs))
    assert found == pytest.approx(best / (4 * np.sqrt(12)))


def test_one_size_is_judged_without_a_power():
    [claim] = study.narrowed(["N-C4"], {"h": "32"}).claims
    found = claim.judge(world(claim, {"witness": witness}))
    assert found.word == "supported"
    assert found.note == "the ratio is 1.13 at $h = 32$, for linear networks 1 at most"


def test_two_sizes_have_a_power():
    [claim] = study.narrowed(["N-C4"], {}).claims
    cells = world(claim, {"witness": witness})
    assert claim.judge(Cells(cells[:2])).note.startswith("the ratio goes like $h^{0.5")


def test_a_size_must_be_a_power_of_two():
    with pytest.raises(UserError, match="power of 2, got 12"):
        lower_bound.WitnessSettings(h=12)
