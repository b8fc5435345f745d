"""No number that a study computes changes by oversight."""

import json

import pytest

from small_numbers import FILE, SMALL, numbers
from whytrain import studies

KEPT = json.loads(FILE.read_text())
# In float32, with units that jump: another processor's rounding may turn an example.
TRAINED = {"networks", "image-filters", "width", "residual-width"}


@pytest.mark.parametrize("study", SMALL)
def test_there_are_numbers_of_every_experiment(study):
    assert set(SMALL[study]) == {one.name for one in studies.load(study).experiments}


@pytest.mark.parametrize(
    ("study", "name"), [(study, one) for study in SMALL for one in SMALL[study]]
)
def test_the_numbers_are_those_of_before(study, name):
    found, kept = numbers(study, name), KEPT[f"{study}/{name}"]
    assert set(found) == set(kept)
    rel, least = (0.05, 0.02) if name in TRAINED else (1e-5, 1e-11)
    for variable, values in kept.items():
        again = "if on purpose, raise the version, and: python tests/small_numbers.py"
        assert found[variable] == pytest.approx(values, rel=rel, abs=least), (variable, again)
