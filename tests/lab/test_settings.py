import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toy import Walk
from whytrain.errors import UserError
from whytrain.lab import Experiment, Settings, as_dict, fingerprint, parse, setting

NAMES = ["steps", "drift", "scale", "kind", "pause", "broken"]


@dataclass(frozen=True, kw_only=True)
class Open(Settings):
    rate: float = setting(0.5, "a rate", low=0, high=1, exclusive=True)


def test_values_are_read_by_type():
    walk = parse(Walk, ["steps=1e3", "drift=-.5", "kind=coin", "broken=True", "scale=none"])
    assert walk == Walk(steps=1000, drift=-0.5, kind="coin", broken=True)
    assert type(walk.steps) is int


def test_the_last_of_a_name_counts():
    assert parse(Walk, ["steps=1", "steps=2"]).steps == 2


def test_numpy_and_whole_numbers_become_the_field_s_own_type():
    walk = Walk(steps=np.int64(3), drift=np.float32(0.5), scale=1, broken=np.bool_(True))
    assert [type(v) for v in (walk.steps, walk.drift, walk.scale, walk.broken)] == [
        int,
        float,
        float,
        bool,
    ]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("steps=0", "'steps' must be an integer >= 1, got 0"),
        ("steps=2.5", "'steps' must be an integer >= 1, got 2.5"),
        ("steps=many", "'steps' must be an integer >= 1, got 'many'"),
        ("steps=1e300", "'steps' must be an integer >= 1, got 1e+300"),
        ("drift=nan", "'drift' must be a finite number >= -1 and <= 1, got nan"),
        ("drift=inf", "got inf"),
        ("drift=none", "'drift' must be a finite number"),
        ("scale=-1", "'scale' must be a finite number >= 0, or none, got -1.0"),
        ("kind=cauchy", "'kind' must be 'normal' or 'coin', got 'cauchy'"),
        ("broken=1", "'broken' must be true or false, got '1'"),
        ("step=3", "unknown setting 'step'; did you mean 'steps'"),
        ("zzz=3", f"unknown setting 'zzz'; the settings are {', '.join(NAMES)}"),
        ("steps", "a setting is written NAME=VALUE, got 'steps'"),
    ],
)
def test_a_mistake_is_told_with_rule_value_and_fix(pair, message):
    with pytest.raises(UserError) as caught:
        parse(Walk, [pair])
    assert message in str(caught.value)


@pytest.mark.parametrize("rate", [0, 1, -0.1, "x", True])
def test_exclusive_bounds_are_forbidden_themselves(rate):
    with pytest.raises(UserError, match="must be a finite number > 0 and < 1"):
        Open(rate=rate)


values = st.text() | st.sampled_from(["none", "nan", "-inf", "1e999", "9" * 5000, "0x10", "٣"])


@given(st.lists(st.tuples(st.sampled_from(NAMES) | st.text(), values)))
def test_wild_words_are_settings_or_a_user_error(pairs):
    try:
        walk = parse(Walk, [f"{name}={value}" for name, value in pairs])
    except UserError:
        return
    fingerprint(as_dict(walk))


@given(st.sampled_from(NAMES), st.none() | st.integers() | st.floats() | st.text() | st.booleans())
def test_wild_values_are_settings_or_a_user_error(name, value):
    try:
        walk = Walk(**{name: value})
    except UserError:
        return
    except UserWarning:
        assert (name, value) == ("drift", 1)
        return
    made = getattr(walk, name)
    assert made == (float(value) if isinstance(made, float) else value)


@given(
    st.integers(1, 2**63 - 1),
    st.floats(-1, 0.99),
    st.none() | st.floats(0, allow_infinity=False),
)
def test_settings_come_back_from_words(steps, drift, scale):
    walk = Walk(steps=steps, drift=drift, scale=scale)
    words = [f"{name}={value}" for name, value in as_dict(walk).items()]
    assert parse(Walk, words) == walk


def test_equal_settings_have_one_fingerprint():
    assert fingerprint(as_dict(Walk(drift=0))) == fingerprint(as_dict(Walk(drift=-0.0)))
    assert fingerprint(as_dict(Walk(drift=0))) != fingerprint(as_dict(Walk(drift=1e-300)))


def test_fingerprints_stay_what_they_are():
    # Stored pieces are found by this: another value here orphans every run directory there is.
    assert fingerprint("liu2019", {"k": 25, "radius": None}, 0.1)[:16] == "ce1dbfea1ee89c39"


def test_what_is_not_a_number_has_no_fingerprint():
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint(math.nan)


def test_a_field_of_another_type_is_the_study_s_mistake():
    @dataclass(frozen=True, kw_only=True)
    class Wrong(Settings):
        shape: tuple = setting((1, 2), "no")

    with pytest.raises(UserError, match=r"Wrong\.shape: a setting is int, float, bool or str"):
        Wrong()


def test_a_check_that_fails_is_told_in_one_line():
    @dataclass(frozen=True, kw_only=True)
    class Wrong(Settings):
        steps: int = setting(0, "number of steps")

        def check(self) -> None:
            1 / self.steps

    with pytest.raises(UserError, match="the check of Wrong fails: ZeroDivisionError: division"):
        Wrong()


def test_settings_without_the_decorator_are_refused():
    class Wrong(Settings):
        steps: int = setting(0, "number of steps")

    @dataclass(frozen=True, kw_only=True)
    class More(Wrong):
        drift: float = setting(0.0, "mean of a step")

    class Bare(Settings):  # as a dataclass of Python's own is written
        steps: int = 0

    experiment = lambda: Experiment("e", "does", Wrong, lambda s, r: None)  # noqa: E731
    for make in (Wrong, More, Bare, experiment):
        words = rf"{'Bare' if make is Bare else 'Wrong'} has settings \(steps\) .* put @dataclass"
        with pytest.raises(UserError, match=words):
            make()


def test_a_subclass_that_adds_no_setting_needs_no_decorator():
    class Strict(Walk):
        shortest: ClassVar[int] = 1  # not a setting
        longest: "ClassVar" = 9

    assert Strict(steps=3).steps == 3
