from dataclasses import dataclass

import pytest

from whytrain.errors import UserError
from whytrain.lab import Derived, Experiment, Settings, setting


@dataclass(frozen=True, kw_only=True)
class Ball(Settings):
    k: int = setting(4, "size", low=1)
    size: Derived[float] = setting(None, "1/k by default", low=0)
    kind: str = setting("plain", "kind", choices=("plain", "odd"))

    def check(self):
        self.derive("size", 1 / self.k)


BALLS = Experiment("balls", "balls", Ball, lambda s, r: None, lambda d, s: {})


def places(grid, preset="quick"):
    return [(r.settings.k, r.settings.size, r.settings.kind, r.runs) for r in grid(preset)]


def test_the_last_axis_moves_fastest_and_cases_faster_still():
    grid = BALLS.grid(k=(1, 2), size=(3.0, 4.0), cases=({"kind": "plain"}, {"kind": "odd"}), runs=5)
    assert places(grid)[:3] == [(1, 3.0, "plain", 5), (1, 3.0, "odd", 5), (1, 4.0, "plain", 5)]
    assert len(places(grid)) == 8


def test_a_preset_has_values_of_its_own():
    grid = BALLS.grid({"quick": {"k": 1}, "paper": {"k": (1, 2), "runs": 9}}, runs=5)
    assert places(grid) == [(1, 1.0, "plain", 5)]
    assert places(grid, "paper") == [(1, 1.0, "plain", 9), (2, 0.5, "plain", 9)]


def test_values_derived_from_others_follow_what_the_user_sets():
    grid = BALLS.grid(k=(2, 4), size=lambda at: 10 / at.k, runs=lambda at: 100 * at.k)
    assert places(grid) == [(2, 5.0, "plain", 200), (4, 2.5, "plain", 400)]
    assert places(grid.set({"k": "5"})) == [(5, 2.0, "plain", 500)]
    assert places(grid.set({"size": "1", "other": "x"})) == [
        (2, 1.0, "plain", 200), (4, 1.0, "plain", 400),
    ]  # fmt: skip
    assert places(grid.set({"k": "5", "runs": "7"})) == [(5, 2.0, "plain", 7)]
    with pytest.raises(UserError, match="the number of runs must be an integer >= 1, got '0'"):
        grid.set({"runs": "0"})
    with pytest.raises(UserError, match="setting 'k' must be an integer >= 1, got 0"):
        grid.set({"k": "0"})("quick")


def test_grids_add_up_and_say_each_place_once():
    small, large = BALLS.grid(k=(1, 2), runs=5), BALLS.grid(k=(2, 3), runs=5)
    assert [k for k, *_ in places(small + large)] == [1, 2, 3]
    assert [k for k, *_ in places((small + large).at(k=2))] == [2]


def test_a_place_can_be_left_out():
    grid = BALLS.grid(
        k=(1, 2), kind=("plain", "odd"), where=lambda at: at.k == 2 or at.kind == "odd"
    )
    assert [(k, kind) for k, _, kind, _ in places(grid)] == [
        (1, "odd"), (2, "plain"), (2, "odd"),
    ]  # fmt: skip


def test_settings_change_with_what_is_derived_from_them():
    assert Ball(k=2).but(k=5).size == 0.2
    assert Ball(k=2, size=0.5).but(k=5).size == 0.5
    with pytest.raises(UserError, match="unknown setting 'kk'"):
        Ball().but(kk=5)
