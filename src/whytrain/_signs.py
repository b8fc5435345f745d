"""What a reproduction leaves: where it lies, the words of its verdicts, and a sign for each."""

from collections.abc import Mapping
from typing import Literal

Word = Literal["supported", "contradicted", "inconclusive", "not run", "failed"]

RESULTS = "whytrain-results"  # where reproductions go, unless told otherwise

SIGNS: Mapping[Word, str] = {
    "supported": "✓",
    "contradicted": "✗",
    "inconclusive": "?",
    "not run": "…",
    "failed": "!",
}
"""So that a verdict does not hang on color alone."""
