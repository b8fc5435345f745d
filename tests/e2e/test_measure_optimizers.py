"""`whytrain measure optimizers`, as a user calls it."""

import json

import pytest

from whytrain.cli import main

QUIET = """
import random

def train(optimizer, learning_rate, weight_decay, seed):
    noise = random.Random(f"{optimizer} {seed}").gauss(0, 0.1)
    return {"loss": [1.0, 0.5], "score": [2.0, noise + (optimizer == "slow")]}

def broken(optimizer, learning_rate, weight_decay, seed):
    return 1 / 0

def words(optimizer, learning_rate, weight_decay, seed):
    return "good"

def leaves(optimizer, learning_rate, weight_decay, seed):
    raise SystemExit(3)

def prints(optimizer, learning_rate, weight_decay, seed):
    print("hello")
    return train(optimizer, learning_rate, weight_decay, seed)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(QUIET)
    return path


def asked(file, *more, function="train"):
    return [
        "measure", "optimizers", "--python", f"{file}:{function}", "--optimizer", "slow",
        "--optimizer", "quick", "--budget", "2", "--trials", "6", *more,
    ]  # fmt: skip


def test_a_table_a_picture_and_the_sentence(file, tmp_path, capsys):
    assert main(asked(file, "--out", str(tmp_path / "pictures"))) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("quick is better than slow.")
    assert "scores at equal training loss; 6 trials, each a search of 2 runs" in shown.out
    assert max(map(len, shown.out.splitlines()[:-1])) <= 80
    assert (tmp_path / "pictures" / "optimizers.png").stat().st_size > 10_000
    assert (tmp_path / "pictures" / "optimizers.svg").is_file()
    said = shown.err.splitlines()
    assert said[0].startswith("whytrain: 2 methods x 6 trials x (2 runs to tune + 2 fresh) = 48")
    assert said[-1] == "whytrain: trial 6 of 6"


def test_one_json_document(file, capsys):
    assert main(asked(file, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentence"] == "quick is better than slow."
    assert found["pairs"][0]["first_is"] == "worse"
    assert found["pairs"][0]["difference"]["low"] > 0


@pytest.mark.parametrize(
    ("more", "function", "message"),
    [
        (["--learning-rates", "1,0.1"], "train", "learning_rates must be (low, high)"),
        (["--learning-rates", "much"], "train", "--learning-rates must be LOW,HIGH"),
        (["--optimizer", "slow"], "train", "a name of its own"),
        (["--level", "2"], "train", "level must lie between 0 and 1"),
        ([], "broken", "line 9: ZeroDivisionError: division by zero"),
        ([], "words", "must be real numbers"),
        ([], "leaves", "line 15: SystemExit: 3"),
        ([], "tarin", "has no function 'tarin'; did you mean 'train'"),
    ],
)
def test_mistakes_are_told_in_one_line(more, function, message, file, capsys):
    assert main(asked(file, *more, function=function)) == 2
    [line] = [one for one in capsys.readouterr().err.splitlines() if "error" in one]
    assert message in line


def test_what_a_training_prints_is_not_among_the_results(file, capsys, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert main(asked(file.name, "--json", function="prints")) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["sentence"] == "quick is better than slow."
    assert "hello" in shown.err
    assert main(asked(file.name, function="broken")) == 2
    assert "mine.py, line 9: ZeroDivisionError" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told_before_the_first_training(file, capsys):
    for place in (file, file / "pictures"):
        assert main(asked(file, "--out", str(place))) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "File exists; give another --out" in line
