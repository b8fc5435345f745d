import sys
from pathlib import Path

import pytest

from whytrain import studies
from whytrain.errors import UserError
from whytrain.lab import Study

TOY = Path(__file__).parents[1] / "toy.py"


@pytest.mark.parametrize("name", studies.names())
def test_every_built_in_study_loads_under_its_name(name):
    study = studies.source(name).study()
    assert isinstance(study, Study)
    assert study.name == name


@pytest.mark.parametrize("name", studies.names())
def test_every_built_in_study_is_sound(name):
    study = studies.load(name)
    for parts in (study.claims, study.figures):
        for part in parts:
            for request in [r for preset in study.presets for r in part.requests(preset)]:
                assert isinstance(request.settings, study.experiment(request.experiment).settings)
                assert request.runs >= 1
    ids = [claim.id for claim in study.claims]
    assert len(set(ids)) == len(ids)


def test_a_file_defines_a_study():
    assert studies.source(str(TOY)).study().name == "toy"


def test_a_file_may_import_what_is_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside_mine.py").write_text(TOY.read_text())
    (tmp_path / "mine.py").write_text("from beside_mine import study\n")
    assert studies.source(str(tmp_path / "mine.py")).study().name == "toy"


def test_a_changed_file_is_another_edition(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TOY.read_text())
    before = studies.source(str(path)).edition
    path.write_text(TOY.read_text() + "\n")
    assert studies.source(str(path)).edition != before


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="unknown study 'liu2091'; did you mean 'liu2019'"):
        studies.source("liu2091")
    with pytest.raises(UserError, match=r"or give the path of a \.py file"):
        studies.source("")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", r"mine\.py, line 2: ZeroDivisionError"),
        ("def f(:\n", r"mine\.py: SyntaxError"),
        ("study = 3\n", "defines no study"),
        ("", "defines no study"),
    ],
)
def test_a_bad_file_is_told_in_one_line(text, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        studies.source(str(path)).study()


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the study .*No such file"):
        studies.source(str(tmp_path / "none.py"))
