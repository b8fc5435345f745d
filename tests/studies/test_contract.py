"""What every study's claims promise, whichever study it is."""

from typing import get_args

import pytest

from judged import rederived
from whytrain import studies
from whytrain.lab import reproduce
from whytrain.lab.claims import Group

CLAIMS = [
    pytest.param(study, claim, id=f"{study.name}-{claim.id}")
    for study in map(studies.load, studies.names())
    for claim in study.claims
]


@pytest.mark.parametrize(("study", "claim"), CLAIMS)
def test_a_claim_says_all_that_a_reader_needs(study, claim):
    assert claim.title
    assert claim.group in get_args(Group)
    assert claim.does_not_show.endswith(".")
    assert bool(claim.faults) != bool(claim.no_fault)
    assert set(claim.figures) <= {figure.name for figure in study.figures}


@pytest.mark.parametrize(("study", "claim"), CLAIMS)
def test_what_is_fixed_beforehand_is_hashed(study, claim):
    plans = {claim.plan(preset) for preset in study.presets}
    assert len(plans) == len({str(claim.requests(preset)) for preset in study.presets})


@pytest.mark.slow
@pytest.mark.parametrize("name", studies.names())
def test_every_word_follows_from_what_is_printed(name, tmp_path):
    done = reproduce(studies.source(name), "quick", tmp_path / "out", check=True)
    for claim, verdict in done.outcomes:
        assert rederived(claim, verdict) == verdict.word
        assert verdict.word == claim.expected, claim.id
    assert done.all_turned
