"""Nothing that is asked for, and no rule, changes by oversight."""

import pytest

from plans import FILE, lines
from whytrain import studies


@pytest.mark.parametrize("name", studies.names())
def test_what_is_asked_and_how_it_is_judged_is_what_was_fixed(name):
    kept = [one for one in FILE.read_text().splitlines() if one.startswith(f"{name} ")]
    assert list(lines(name)) == kept, "if on purpose, write it anew: python tests/plans.py"
