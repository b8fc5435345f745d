"""Verdicts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SIGNS: Mapping[str, str] = {
    "supported": "✓",
    "contradicted": "✗",
    "inconclusive": "?",
}
"""The sign of each verdict, so that it does not hang on color alone."""


def verdict_words(claim: Mapping[str, Any]) -> str:
    """Say how a verdict stands to what the study expects of it.

    Args:
        claim: An entry of the report's claims.

    Returns:
        Nothing for a claim that is supported as expected.

    Example:
        >>> verdict_words({"verdict": "contradicted", "expected": "contradicted"})
        'as expected'
        >>> verdict_words({"verdict": "inconclusive", "expected": "supported"})
        'expected: supported'
    """
    verdict, expected = claim["verdict"], claim["expected"]
    if verdict == expected:
        return "" if verdict == "supported" else "as expected"
    return f"expected: {expected}"


def summary_line(content: Mapping[str, Any]) -> str:
    """Say in one line how many claims came out how.

    Args:
        content: What the report says.

    Example:
        >>> printed = {"verdict": "contradicted", "expected": "contradicted"}
        >>> summary_line({"claims": [printed], "verdicts": {"supported": 0, "contradicted": 1}})
        '0 of 1 claims supported, 1 contradicted (as expected)'
    """
    counts = content["verdicts"]
    rest = [
        f"{count} {word}{_as_expected(content['claims'], word)}"
        for word, count in counts.items()
        if count and word != "supported"
    ]
    total = sum(counts.values())
    return ", ".join([f"{counts['supported']} of {total} claims supported", *rest])


def _as_expected(claims: Sequence[Mapping[str, Any]], word: str) -> str:
    """Say so where every claim with this verdict was expected to have it."""
    expected = [claim["expected"] == word for claim in claims if claim["verdict"] == word]
    return " (as expected)" if all(expected) else ""
