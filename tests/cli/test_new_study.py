"""The study that a newcomer begins with runs, and holds what it says."""

from pathlib import Path

import pytest

import whytrain as wt
from whytrain.cli import main
from whytrain.studies import template
from whytrain.testing import check_study

PAGE = (Path(__file__).parents[2] / "docs" / "own-study.md").read_text()
LONGEST = 150  # lines of a study in one file


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_it_runs_and_its_fault_turns_the_verdict(capsys):
    assert main(["new", "floor.py"]) == 0
    assert "whytrain reproduce floor.py --check" in capsys.readouterr().out
    assert main(["reproduce", "floor.py", "--check", "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    row = next(line.strip() for line in printed.splitlines() if "✓ supported" in line)
    assert row in PAGE
    assert "1 of 1 planted faults turned the verdict" in printed
    done = wt.reproduce("floor.py", check=True)
    assert done.computed == 0
    assert done.figures["floor"].problem == ""
    check_study(done.study, done)


def test_its_experiment_passes_the_gate():
    check_study(template.study, small=[wt.Request("descent", template.Noisy(steps=6), 5)])


def test_where_the_assumption_fails_so_does_the_claim():
    main(["new", "floor.py"])
    found = wt.reproduce("floor.py", claim="floor", steps=20)
    [(_, verdict)] = found.outcomes
    assert verdict.word == "contradicted"  # the runs have not come to rest
    assert "3.64 [3.29, 3.98]" in repr(found)
    assert "3.64 [3.29, 3.98]" in PAGE


def test_the_inconclusive_claim_of_the_page():
    main(["new", "floor.py"])
    text = Path("floor.py").read_text()
    Path("floor.py").write_text(text.replace(", resolution=0.05", ""))
    few = repr(wt.reproduce("floor.py", claim="floor", runs=15))
    row = next(line.strip() for line in few.splitlines() if "inconclusive" in line)
    assert row in PAGE
    assert "1.02 [0.985, 1.05]" in repr(wt.reproduce("floor.py", claim="floor", runs=100))
    assert "1.02 [0.985, 1.05]" in PAGE


def test_nothing_is_overwritten(capsys):
    Path("mine.py").write_text("mine")
    assert main(["new", "mine.py"]) == 2
    assert "mine.py is there already" in capsys.readouterr().err
    assert Path("mine.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [("mine", "NAME.py"), ("my study.py", "letters"), ("no/where.py", "cannot write no/where.py")],
)
def test_a_file_that_cannot_be_is_one_line(name, words, capsys):
    assert main(["new", name]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("file", [Path(template.__file__), Path("examples", "own_study.py")])
def test_a_study_in_one_file_is_short(file):
    path = file if file.is_absolute() else Path(__file__).parents[2] / file
    assert len(path.read_text().splitlines()) <= LONGEST
