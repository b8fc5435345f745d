"""Which of many parameters a quick test takes."""

import pytest


def only(values, quick):
    """All the values; those that are not among the quick ones are left to `make test-slow`."""
    return [one if one in quick else pytest.param(one, marks=pytest.mark.slow) for one in values]
