"""What every study's claims promise, with their numbers; without them: `tests/testing`."""

import pytest

from judged import rederived
from redrawn import check_figure
from whytrain import studies
from whytrain.errors import UserError
from whytrain.lab import parse, reproduce
from whytrain.testing import check_study
from wording import slips


@pytest.mark.parametrize("name", studies.names())
def test_every_figure_shows_a_claim(name):
    study = studies.load(name)
    shown = {figure for claim in study.claims for figure in claim.figures}
    assert {figure.name for figure in study.figures} == shown


SIZES = {"depth", "dimension", "inputs", "k", "layers", "m", "p", "width"}


@pytest.mark.parametrize("name", studies.names())
def test_a_size_beyond_any_memory_is_refused_in_words(name):
    for experiment in studies.load(name).experiments:
        for size in SIZES & set(experiment.settings.__dataclass_fields__):
            with pytest.raises(UserError, match=f"'{size}' must be an integer .*<= "):
                parse(experiment.settings, [f"{size}=1000000000"])


@pytest.mark.slow
@pytest.mark.parametrize("name", studies.names())
def test_every_word_follows_from_what_is_printed(name, tmp_path):
    done = reproduce(studies.source(name), "quick", tmp_path / "out", check=True)
    check_study(studies.load(name), done)
    for claim, verdict in done.outcomes:
        assert rederived(claim, verdict) == verdict.word
        assert not slips(verdict.note), verdict.note
    for figure in done.study.figures:
        check_figure(figure, done.cells(figure.requests("quick")))
