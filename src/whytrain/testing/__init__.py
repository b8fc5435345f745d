"""Gates that one's own parts can be put through, as the package's own are."""

from whytrain.testing.reductions import check_reduction

__all__ = ["check_reduction"]
