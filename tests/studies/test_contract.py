"""What every study's claims promise, with their numbers; without them: `tests/testing`."""

import pytest

from judged import rederived
from whytrain import studies
from whytrain.lab import reproduce
from whytrain.testing import check_study


@pytest.mark.slow
@pytest.mark.parametrize("name", studies.names())
def test_every_word_follows_from_what_is_printed(name, tmp_path):
    done = reproduce(studies.source(name), "quick", tmp_path / "out", check=True)
    check_study(studies.load(name), done)
    for claim, verdict in done.outcomes:
        assert rederived(claim, verdict) == verdict.word
