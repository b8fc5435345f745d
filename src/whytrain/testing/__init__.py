"""Gates that one's own parts can be put through, as the package's own are.

Each raises an `AssertionError` of one line that says what is wrong.
"""

from whytrain.testing.activations import check_activation
from whytrain.testing.landscapes import check_landscape
from whytrain.testing.measures import check_measure
from whytrain.testing.methods import check_method
from whytrain.testing.reductions import check_reduction
from whytrain.testing.studies import check_study

__all__ = [
    "check_activation",
    "check_landscape",
    "check_measure",
    "check_method",
    "check_reduction",
    "check_study",
]
