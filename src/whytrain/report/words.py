"""Verdicts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whytrain.lab.verdicts import rule_text
from whytrain.report.numbers import number


def rule_words(finding: Mapping[str, Any]) -> str:
    """Say what a number is held against.

    Args:
        finding: An entry of the report's claims, or of the parts of one.

    Returns:
        The rule; nothing where nothing was judged.

    Example:
        >>> rule_words({"relation": "=", "threshold": 1.0, "tolerance": 1e-12})
        '= 1 ± 10⁻¹²'
    """
    if finding["relation"] is None:
        return ""
    return rule_text(finding["relation"], finding["threshold"], finding["tolerance"], number)


def level_words(finding: Mapping[str, Any]) -> str:
    """Say what kind of interval stands beside a number.

    Args:
        finding: As for `rule_words`.

    Example:
        >>> level_words({"level": 0.975}), level_words({"level": None})
        ('97.5 % interval', 'range found')
    """
    level = finding["level"]
    return "range found" if level is None else f"{100 * level:.4g} % interval"


def corrected_words(claim: Mapping[str, Any]) -> str:
    """Say so where a verdict does not survive the correction for many claims.

    Args:
        claim: An entry of the report's claims.

    Example:
        >>> corrected_words({"verdict": "supported", "corrected": "inconclusive"})
        'not after correction for many claims'
    """
    kept = claim["corrected"] == claim["verdict"]
    return "" if kept else "not after correction for many claims"


def score_line(claims: Sequence[Mapping[str, Any]]) -> str:
    """Say how many planted faults turned the verdicts of their claims.

    Args:
        claims: The report's claims.

    Returns:
        The line; nothing where no fault was tried.

    Example:
        >>> score_line([{"faults": [{"turned": True}, {"turned": False}]}])
        '1 of 2 planted faults turned'
    """
    tried = [fault["turned"] for claim in claims for fault in claim["faults"]]
    return f"{sum(tried)} of {len(tried)} planted faults turned" if tried else ""


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
