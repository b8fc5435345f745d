from pathlib import Path

import pytest

import toy
from whytrain import studies
from whytrain.report.sources import code_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", studies.names())
def test_every_claim_leads_to_the_line_that_states_it(name):
    study = studies.load(name)
    found = code_of(study)
    assert found.keys() == {claim.id for claim in study.claims}
    for id, code in found.items():
        lines = (ROOT / "src" / code.file).read_text(encoding="utf-8").splitlines()
        assert any(f'"{id}"' in line for line in lines[code.line - 1 : code.line + 2]), id
        assert code.text.splitlines()[0] in lines[code.line - 1]


def test_a_study_in_a_file_of_ones_own_leads_there():
    found = code_of(toy.study)
    assert {code.file for code in found.values()} == {"toy.py"}
    assert found.keys() == {claim.id for claim in toy.study.claims}
