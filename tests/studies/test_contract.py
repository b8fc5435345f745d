"""What every study's claims promise, with their numbers; without them: `tests/testing`."""

import pytest

from judged import rederived
from whytrain import report, studies
from whytrain.lab import reproduce
from whytrain.testing import check_study
from wording import slips


@pytest.mark.slow
@pytest.mark.parametrize("name", studies.names())
def test_every_word_follows_from_what_is_printed(name, tmp_path):
    done = reproduce(studies.source(name), "quick", tmp_path / "out", check=True)
    check_study(studies.load(name), done)
    for claim, verdict in done.outcomes:
        assert rederived(claim, verdict) == verdict.word
        assert not slips(verdict.note), verdict.note
    for drawing in report.draw_all(done):
        assert not drawing.problem
        assert not slips(drawing.caption), drawing.caption
        assert not drawing.caption.startswith(drawing.title.split(" (")[0]), drawing.caption
