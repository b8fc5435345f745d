"""The commands as functions: the numbers of the command line, shown where one works."""

import json
import sys
import types
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import xarray as xr

import toy
import whytrain as wt
from whytrain.cli import main
from whytrain.commands import _written
from whytrain.errors import UserError

TOY = toy.__file__
WALK = f"{TOY}/walk"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def told(capsys, *words):
    main([*map(str, words), "--json"])
    return json.loads(capsys.readouterr().out)


def test_run_gives_what_the_command_prints(capsys):
    words = ("--set", "steps=9", "--set", "kind=coin", "--set", "drift=0.1", "--runs", 30)
    found = wt.run(WALK, steps=np.int64(9), kind="coin", drift=0.1, runs=30)
    printed = told(capsys, "run", WALK, *words)
    assert {**found.document(), "seconds": 0} == {**printed, "seconds": 0}
    assert found["mean"]["estimate"] == printed["results"]["mean"]["estimate"]
    assert (dict(found), found.settings) == (printed["results"], printed["settings"])


def test_a_result_shows_itself_as_a_table():
    found = wt.run(WALK, runs=5)
    assert "toy/walk: 5 runs, seed 0" in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80
    assert "<table>" in found._repr_html_()
    assert "mean.estimate" in found._repr_html_()


def test_settings_of_any_name_can_be_given_as_a_mapping():
    assert wt.run(WALK, {"steps": 9}, runs=5).settings["steps"] == 9


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (np.bool_(False), "false"), (None, "none"), (0.1, "0.1"), (9, "9"),
     (1e-300, "1e-300"), ("cnn", "cnn"), (np.float32(0.5), "0.5")],
)  # fmt: skip
def test_values_are_written_as_on_the_command_line(value, text):
    assert _written(value) == text


def test_reproduce_gives_verdicts_figures_and_a_report(capsys):
    found = wt.reproduce(TOY, check=True)
    assert found.report == Path("whytrain-results", "toy-quick", "report.html")
    assert found.report.is_file()
    assert [verdict.word for _, verdict in found.outcomes] == ["supported", "contradicted"]
    assert "✓ supported" in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80
    assert "✓ supported" in found._repr_html_()
    picture = found.figures["ends"]
    assert 'src="data:image/png;base64,' in picture._repr_html_()
    assert repr(picture) == "Where walks end: Walks end to the right of where they start."
    again = told(capsys, "reproduce", TOY, "--check", "--workers", 1)
    assert again["pieces"]["computed"] == 0
    assert [c["verdict"] for c in again["claims"]] == [v.word for _, v in found.outcomes]


def test_one_claim_at_settings_of_ones_own():
    found = wt.reproduce(TOY, claim="up", steps=2)
    assert (found.settings, found.claims) == ({"steps": "2"}, ("up",))
    assert "at your settings, steps = 2" in repr(found)
    with pytest.raises(wt.UserError, match="say with"):
        wt.reproduce(TOY, steps=2)


def test_an_experiment_is_swept_like_a_function():
    found = wt.sweep(WALK, steps=[2, 3], drift=(0.0, 0.5), kind="coin", runs=5)
    assert dict(found.sizes) == {"steps": 2, "drift": 2}
    alone = wt.run(WALK, steps=3, drift=0.5, kind="coin", runs=5)
    assert float(found["mean"].sel(steps=3, drift=0.5)) == alone["mean"]["estimate"]
    assert list(Path().iterdir()) == []  # nothing is kept unless told


def test_a_sweep_can_be_kept():
    first = wt.sweep(WALK, steps=[2, 3], runs=5, out="here").load()
    assert Path("here").is_dir()
    xr.testing.assert_equal(wt.sweep(WALK, steps=[2, 3], runs=5, out="here"), first)
    Path("plan.toml").write_text(f'experiment = "{WALK}"\nruns = 5\ngrid.steps = [2, 3]\n')
    xr.testing.assert_equal(wt.sweep("plan.toml", out="here"), first)
    with pytest.raises(wt.UserError, match="change them there"):
        wt.sweep("plan.toml", runs=9)


def test_a_failed_setting_of_a_sweep_is_told():
    with pytest.warns(UserWarning, match="1 settings failed, the first with: .*broken on purpose"):
        found = wt.sweep(WALK, broken=[False, True], runs=5)
    assert np.isnan(found["mean"].sel(broken=True))


def test_a_function_is_swept_here():
    with pytest.raises(wt.UserError, match="swept here"):
        wt.sweep(lambda x: x, x=[1], workers=2)


def test_a_file_that_has_changed_is_a_new_study():
    path = Path("mine.py")
    text = Path(TOY).read_text()
    path.write_text(text)
    before = wt.run("mine.py/walk", runs=5, out="here")
    asked = wt.studies.source("mine.py")
    path.write_text(text.replace("drift: float = setting(0.5", "drift: float = setting(0.25"))
    after = wt.run("mine.py/walk", runs=5, out="here")
    assert (before.settings["drift"], after.settings["drift"]) == (0.5, 0.25)
    assert asked.study().name == "toy"  # it was loaded
    path.write_text(text + "\n")
    asked = wt.studies.source("mine.py")
    path.write_text(text + "\n\n")
    with pytest.raises(wt.UserError, match="has changed since it was asked for"):
        asked.study()


class Screen(list):
    """What a notebook shows below a cell."""

    def update(self, html):
        self.append(html)


@pytest.fixture
def notebook(monkeypatch):
    screen = Screen()

    def display(html, display_id):
        screen.append(html)
        return screen

    shell = types.SimpleNamespace(kernel=object())
    modules = {
        "IPython": types.SimpleNamespace(get_ipython=lambda: shell),
        "IPython.display": types.SimpleNamespace(HTML=str, display=display),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return screen


def test_a_notebook_shows_progress_and_takes_it_away(notebook, monkeypatch):
    monkeypatch.setattr("whytrain.notebook.OFTEN", 0)
    wt.run(WALK, runs=250)
    assert notebook[0].startswith('<progress value="0" max="3"></progress> compiling: 0 of 3')
    assert 'value="3"' in notebook[-2]
    assert "walk: 3 of 3 pieces" in notebook[-2]
    assert notebook[-1] == ""


def test_elsewhere_there_is_none(capfd):
    wt.run(WALK, runs=5)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: wt.run(3), "give STUDY/EXPERIMENT, got 3"),
        (lambda: wt.reproduce(3), "a study is named by its name or the path of its file, got 3"),
        (lambda: wt.run("liu2019/success-rate", workers="2"), "an integer >= 1, got '2'"),
        (lambda: wt.run("liu2019/success-rate", workers=1.5), "an integer >= 1, got 1.5"),
        (lambda: wt.run("liu2019/success-rate", scheduler=3), "a scheduler is an address.* got 3"),
    ],
)
def test_what_is_of_another_type_is_told_in_one_line(ask, words, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=words):
        ask()
