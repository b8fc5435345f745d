"""Several parts of a statement, judged together."""

import pytest

from whytrain.lab import all_of, nearest, one_sided


def part(low, high, note=""):
    return one_sided(low, high, 0.0, (low + high) / 2, 5, note)


HOLDS, UNSURE, FAILS = part(1, 2, "holds"), part(-1, 2, "unsure"), part(-2, -1, "fails")


@pytest.mark.parametrize(
    ("parts", "word", "note"),
    [
        ((HOLDS,), "supported", "holds"),
        ((HOLDS, UNSURE), "inconclusive", "unsure"),
        ((UNSURE, FAILS, HOLDS), "contradicted", "fails"),
    ],
)
def test_the_worst_part_decides(parts, word, note):
    found = all_of(*parts)
    assert (found.verdict, found.note) == (word, note)


def test_where_all_hold_the_first_is_reported_with_all_notes():
    found = all_of(part(90, 110, "one"), part(1, 9, "two"), part(3, 5, "one"))
    assert found.interval == (90, 110)
    assert found.note == "one; two"
    assert all_of(HOLDS, UNSURE, note="both").note == "both"


def test_of_parts_of_one_kind_the_one_nearest_to_its_threshold_is_reported():
    assert nearest(part(90, 110), part(1, 9), part(3, 5)).interval == (1, 9)
    assert nearest(part(1, 9), part(-20, -10), part(-9, -8)).interval == (-9, -8)
