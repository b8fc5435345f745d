"""The paths that CONTRIBUTING.md shows a newcomer, walked as they are printed."""

import re
from pathlib import Path

import pytest

from whytrain import lab, studies
from whytrain.testing import check_study

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_a_study_in_one_file(tmp_path):
    path = tmp_path / "walks.py"
    path.write_text(BLOCKS[0])
    source = studies.source(str(path))
    study = source.study()
    done = lab.reproduce(source, "quick", tmp_path / "out", check=True)
    assert [verdict.word for _, verdict in done.outcomes] == ["supported"]
    check_study(study, done)
    check_study(study, lab.reopen(tmp_path / "out", studies.source))
    experiment = study.experiment("walk")
    exec(BLOCKS[1], {"study": study, "lab": lab, "Walk": experiment.settings})


@pytest.mark.parametrize("block", BLOCKS[2:], ids=["landscape", "measure"])
def test_the_other_paths(block):
    exec(block, {})


def test_the_gates_that_are_named_exist():
    import whytrain.testing

    named = set(re.findall(r"\bcheck_\w+", PAGE))
    assert named == set(whytrain.testing.__all__)
