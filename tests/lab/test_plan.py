import math

import pytest

import toy
from whytrain import studies
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.lab import Source, make_plan, read_plan


def source(reference):
    return Source(lambda _: toy.study, reference)


def plan(**content):
    return make_plan({"experiment": "toy/walk"} | content, source)


def settings(cells):
    return [(cell.settings["steps"], cell.settings["drift"]) for cell in cells]


def test_the_product_of_the_axes_the_last_one_fastest():
    cells = plan(grid={"steps": [1, 2], "drift": [0.0, 0.5]}).cells()
    assert settings(cells) == [(1, 0.0), (1, 0.5), (2, 0.0), (2, 0.5)]


def test_axes_that_move_together():
    found = plan(grid={"kind": ["coin"]}, zip=[{"steps": [1, 2], "drift": [0.1, 0.2]}])
    assert settings(found.cells()) == [(1, 0.1), (2, 0.2)]
    assert [axis.names for axis in found.axes] == [("kind",), ("steps", "drift")]


def test_defaults_and_what_is_the_same_for_all():
    found = plan(settings={"drift": 0.25})
    assert (found.runs, found.seed) == (250, 0)
    assert settings(found.cells()) == [(4, 0.25)]


@pytest.mark.parametrize(
    ("name", "span", "values"),
    [
        ("drift", {"start": 0, "stop": 1, "num": 3}, [0.0, 0.5, 1.0]),
        ("drift", {"start": 0.01, "stop": 1, "num": 3, "scale": "log"}, [0.01, 0.1, 1.0]),
        ("steps", {"start": 1, "stop": 100, "num": 3, "scale": "log"}, [1, 10, 100]),
        ("steps", {"start": 1, "stop": 2, "num": 5}, [1, 2]),
        ("drift", {"start": 0.5, "stop": 0.5, "num": 1}, [0.5]),
    ],
)
def test_spans(name, span, values):
    [axis] = plan(grid={name: span}).axes
    assert [point[0] for point in axis.points] == pytest.approx(values)


def test_the_seed_the_runs_and_the_settings_name_a_cell():
    keys = {
        cell.key
        for content in ({}, {"seed": 1}, {"runs": 3}, {"settings": {"steps": 5}})
        for cell in plan(**content).cells()
    }
    assert len(keys) == 4


def test_many_warnings_are_one():
    with pytest.warns(
        UnstableStepWarning, match=r"is very strong \(2 of 4 settings warn\)"
    ) as said:
        plan(grid={"steps": [1, 2], "drift": [0.5, 1.0]}).cells()
    assert len(said) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"experiment": "walk"}, "say experiment = \"STUDY/EXPERIMENT\", got 'walk'"),
        ({"experiment": 3}, "say experiment"),
        ({"experiment": "toy/wlak"}, "unknown experiment of toy: 'wlak'; did you mean 'walk'"),
        ({"grdi": {}}, "unknown key 'grdi'; did you mean 'grid'"),
        ({"runs": 0}, "number of runs must be an integer from 1"),
        ({"runs": 1.5}, "runs must be an integer, got 1.5"),
        ({"runs": math.nan}, "runs must be an integer, got nan"),
        ({"seed": True}, "seed must be an integer, got True"),
        ({"seed": -1}, "the seed must be an integer from 0"),
        ({"settings": {"step": 3}}, "unknown setting 'step'; did you mean 'steps'"),
        ({"settings": 3}, "settings must be a table"),
        ({"settings": {"drift": 2}}, "'drift' must be a finite number >= -1 and <= 1, got 2"),
        ({"grid": {"step": [1]}}, "unknown setting 'step'"),
        ({"grid": {"step": {"start": 1}}}, "unknown setting 'step'"),
        ({"grid": {"steps": [0]}}, "'steps' must be an integer >= 1, got 0"),
        ({"grid": {"steps": []}}, "axis 'steps' must be a list of one value or more"),
        ({"grid": {"steps": 3}}, "axis 'steps' must be a list"),
        ({"grid": {"steps": [1, 1.0]}}, "each value once, twice there is steps = 1"),
        ({"grid": {"drift": {"start": 0, "num": 2}}}, "needs start, stop and num; 'stop' is miss"),
        ({"grid": {"drift": {"start": 0, "stop": 1, "nun": 2}}}, "unknown key 'nun'; did you mean"),
        ({"grid": {"drift": {"start": "a", "stop": 1, "num": 2}}}, "must be numbers"),
        ({"grid": {"drift": {"start": "1", "stop": 1, "num": 2}}}, "must be numbers"),
        ({"grid": {"drift": {"start": 0, "stop": True, "num": 2}}}, "must be numbers"),
        ({"grid": {"drift": {"start": 0, "stop": 1, "num": 0}}}, "num must be >= 1"),
        (
            {"grid": {"drift": {"start": 0, "stop": 1, "num": 10**9}}},
            "num must be 1,000,000 or less",
        ),
        (
            {"grid": {"drift": {"start": 0, "stop": 1, "num": 2, "scale": "log"}}},
            "start and stop >",
        ),
        ({"grid": {"drift": {"start": 1, "stop": 1, "num": 2, "scale": "lg"}}}, 'must be "linear"'),
        ({"zip": {"steps": [1]}}, "with two brackets"),
        ({"zip": [{}]}, "must name at least one setting"),
        ({"zip": [{"steps": [1], "drift": [0, 1]}]}, "equally long: steps has 1, drift has 2"),
        ({"grid": {"steps": [1]}, "settings": {"steps": 2}}, "setting 'steps' is named twice"),
    ],
)
def test_a_mistake_is_told(content, message):
    with pytest.raises(UserError) as told:
        plan(**content)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_combination_that_is_not_allowed_is_named():
    content = {"experiment": "liu2019/success-rate", "grid": {"k": [16, 4], "alignment": [9.0]}}
    with pytest.raises(UserError, match=r"must be <= k = 4 .* \(at k = 4, alignment = 9.0\)"):
        make_plan(content, studies.source).cells()


def test_a_file(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('experiment = "toy/walk"\n[grid]\nsteps = [1, 2]\n')
    assert len(read_plan(path, source).cells()) == 2
    path.write_text('experiment = "toy/walk"\nruns = 0\n')
    with pytest.raises(UserError, match=r"a.toml: the number of runs"):
        read_plan(path, source)
    path.write_text("experiment = \n")
    with pytest.raises(UserError, match=r"a.toml is not TOML: "):
        read_plan(path, source)
    path.write_bytes(b"\xff")
    with pytest.raises(UserError, match="is not TOML"):
        read_plan(path, source)
    with pytest.raises(UserError, match="cannot read the sweep"):
        read_plan(tmp_path / "none.toml", source)
