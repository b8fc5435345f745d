import pytest

from whytrain.cli import progress
from whytrain.cli.progress import LiveProgress
from whytrain.lab import Counts


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_where_nobody_watches_there_is_a_line_every_thirty_seconds(clock, capsys):
    bar = LiveProgress("2 processes")
    bar.start(Counts(100, found=20))
    for second in range(100):
        clock[0] = 100.0 + second
        bar.show(Counts(100, found=20, computed=second // 2, failed=1, running=2), "walk")
    bar.stop()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == (
        "whytrain: 36 of 100 done, 2 running, 1 failed, 0.5/s, 2 min left on 2 processes"
    )  # fmt: skip


def test_short_work_says_nothing(clock, capsys):
    bar = LiveProgress()
    bar.start(Counts(3))
    bar.show(Counts(3, computed=3), "walk")
    bar.stop()
    assert capsys.readouterr().err == ""


def test_nothing_done_yet_promises_nothing(clock, capsys):
    bar = LiveProgress()
    bar.start(Counts(3))
    clock[0] += 31
    bar.show(Counts(3, running=1), "")
    assert capsys.readouterr().err == "whytrain: 0 of 3 done, 1 running\n"


def test_pieces_of_several_experiments_do_not_tell_how_long_the_rest_takes(clock, capsys):
    bar = LiveProgress()
    bar.start(Counts(92, alike=False))
    clock[0] += 300
    bar.show(Counts(92, computed=2, running=2, alike=False), "networks")
    assert capsys.readouterr().err == "whytrain: 2 of 92 done, 2 running, 5 min so far\n"


def test_what_is_printed_meanwhile_goes_to_standard_error(capsys):
    with LiveProgress():
        print("hello")
    print("result")
    assert capsys.readouterr() == ("result\n", "hello\n")
