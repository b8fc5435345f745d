"""Several parts of a statement, judged together."""

import pytest

from whytrain.lab import all_of, one_sided


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


def test_where_all_hold_the_one_nearest_to_its_threshold_is_reported_with_all_notes():
    found = all_of(part(90, 110, "far"), part(1, 9, "near"), part(3, 5, "far"))
    assert found.interval == (1, 9)
    assert found.note == "far; near"
    assert all_of(HOLDS, HOLDS, note="both").note == "both"
