"""Verdicts: the word follows, in one place, from an interval and the rule it is held against."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from whytrain._signs import SIGNS as SIGNS
from whytrain._signs import Word
from whytrain.errors import UserError
from whytrain.lab.statistics import LEVEL, Estimate, real

Relation = Literal[">", "<", "=", "covers", "<=", "every"]

_LEAST_P = 1e-12


@dataclass(frozen=True)
class Rule:
    """What an estimate is held against, fixed before it is known.

    Attributes:
        relation: What is stated of the number: `>` and `<` the threshold; `=` it, up to the
            tolerance; its interval `covers` it; all values found are `<=` it; it holds in `every`
            run, which the interval shows for more than the threshold's share of all.
        threshold: The number stated.
        tolerance: How far from it still counts as equal.
        level: The probability with which the interval covers.
        resolution: The length of an interval that need not be any shorter: where it still holds a
            border, the number is as good as there. None where more runs would tell nothing.
    """

    relation: Relation
    threshold: float
    tolerance: float = 0.0
    level: float = LEVEL
    resolution: float | None = None

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation):
            known = ", ".join(get_args(Relation))
            raise UserError(f"the relation of a rule is one of {known}; got {self.relation!r}")
        numbers = [real(n) for n in (self.threshold, self.tolerance, self.resolution or 0.0)]
        level = real(self.level)
        if not all(map(math.isfinite, numbers)) or min(numbers[1:]) < 0 or not 0 < level < 1:
            raise UserError(
                "a rule needs finite numbers, of which tolerance and resolution are not negative, "
                f"and a level between 0 and 1; got {self.threshold!r}, {self.tolerance!r}, "
                f"{self.resolution!r}, {self.level!r}"
            )
        if self.relation == "every" and not 0 < numbers[0] < 1:
            raise UserError(
                "a share of all runs that an interval has to exceed is below 1, for no number of "
                f"runs shows more, and above 0 (0.95, say); got {self.threshold!r}"
            )

    def word(self, found: Estimate) -> Word:
        """The verdict on an estimate: it needs the whole interval on one side.

        Example:
            >>> above(0.5).word(Estimate(0.8, 0.7, 0.9, 0.95, 100))
            'supported'
        """
        return word(self.relation, self.threshold, self.tolerance, found.value, *found.interval)

    def p_value(self, found: Estimate) -> float | None:
        """The least probability of missing at which the interval still decides; never below 1e-12.

        For `>`, `<` and `=` it is twice that of the one-sided test (of both, for `=`), as the
        interval has two sides; for an interval that refuses to cover, that of the two-sided test.
        It is 1 where no interval decides. None where no probability comes in: nothing is random;
        or one exception to `every` run has been found, which is certain; or an interval covers its
        target, which it would also if that were wrong and the runs too few.

        Example:
            >>> from whytrain.lab.statistics import estimate_rate
            >>> round(above(0.5).p_value(estimate_rate(60, 100)), 4)  # twice the binomial tail
            0.0569
        """
        without = {"covers": "supported", "every": "contradicted"}.get(self.relation)
        if found.bound is None or self.word(found) == without:
            return None
        low, high = np.log(_LEAST_P), 0.0
        if self._decides(found, low):
            return _LEAST_P
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self._decides(found, middle) else (middle, high)
        return float(np.exp(high))

    def _decides(self, found: Estimate, log_miss: float) -> bool:
        """Whether the interval that misses so often decides; not to be refused is no decision."""
        assert found.bound is not None
        ends = found.bound(float(np.exp(log_miss)))
        there = word(self.relation, self.threshold, self.tolerance, found.value, *ends)
        return there == "contradicted" or (there == "supported" and self.relation != "covers")

    def __str__(self) -> str:
        return rule_text(self.relation, self.threshold, self.tolerance)


def rule_text(
    relation: str,
    threshold: float,
    tolerance: float,
    number: Callable[[float], str] = "{:g}".format,
) -> str:
    """A rule as it is printed beside an estimate.

    Args:
        relation: As in `Rule`.
        threshold: As in `Rule`.
        tolerance: As in `Rule`.
        number: Gives the text of a number.

    Example:
        >>> rule_text("=", 1.0, 0.01), rule_text("every", 0.95, 0.0)
        ('= 1 ± 0.01', 'every run, share > 0.95')
    """
    sign = {"<=": "≤", "every": "every run, share >"}.get(relation, relation)
    about = f" ± {number(tolerance)}" if tolerance else ""
    return f"{sign} {number(threshold)}{about}"


def word(
    relation: str, threshold: float, tolerance: float, value: float, low: float, high: float
) -> Word:
    """The verdict that printed numbers lead to; nothing else comes in.

    Args:
        relation: As in `Rule`.
        threshold: As in `Rule`.
        tolerance: As in `Rule`.
        value: The estimate.
        low: The lower end of its interval.
        high: The upper end.

    Returns:
        `supported`, `contradicted` or `inconclusive`. Of a value that is not a number an identity
        is contradicted, and of an interval that is not one everything else is inconclusive; so is
        whether it covers a number, of an unbounded interval, which covers all.
    """
    below, above_ = threshold - tolerance, threshold + tolerance
    holds, fails = {
        ">": (low > threshold, high <= threshold),
        "<": (high < threshold, low >= threshold),
        "=": (below <= low and high <= above_, high < below or low > above_),
        "covers": (
            low <= threshold <= high and math.isfinite(high - low),
            high < threshold or low > threshold,
        ),
        "<=": (high <= threshold, not high <= threshold),
        "every": (value == 1 and low > threshold, value < 1),
    }[relation]
    return "supported" if holds else "contradicted" if fails else "inconclusive"


def above(threshold: float, *, resolution: float | None = None) -> Rule:
    """The number is above a threshold."""
    return Rule(">", threshold, resolution=resolution)


def below(threshold: float, *, resolution: float | None = None) -> Rule:
    """The number is below a threshold."""
    return Rule("<", threshold, resolution=resolution)


def equals(threshold: float, tolerance: float, *, resolution: float | None = None) -> Rule:
    """The number is another one, up to a tolerance: the whole interval lies within it."""
    return Rule("=", threshold, tolerance, resolution=resolution)


def covers(threshold: float, level: float = 0.999) -> Rule:
    """The interval holds a number: nothing speaks against it, at this level."""
    return Rule("covers", threshold, level=level)


def at_most(threshold: float) -> Rule:
    """No value found is above a threshold, such as what rounding may leave of an identity."""
    return Rule("<=", threshold)


def every_run(share: float = LEVEL, *, resolution: float | None = None) -> Rule:
    """It held in every run: one exception contradicts it, and too few runs show nothing.

    Args:
        share: The share of all runs that the exact interval has to exceed.
        resolution: As in `Rule`.
    """
    return Rule("every", share, resolution=resolution)


@dataclass(frozen=True)
class Finding:
    """One number of a claim beside its rule.

    Attributes:
        what: What was measured, in words.
        estimate: The number.
        rule: What it is held against.
        share: The part of the probability of error that this look at the data may spend.
    """

    what: str
    estimate: Estimate
    rule: Rule
    share: float = 1.0

    @property
    def word(self) -> Word:
        """The verdict on this number alone."""
        return self.rule.word(self.estimate)

    @property
    def p_value(self) -> float | None:
        """That of the rule, over the share: comparable whichever look it is."""
        found = self.rule.p_value(self.estimate)
        return None if found is None else min(1.0, found / self.share)

    @property
    def sampled(self) -> bool:
        """Whether chance had a part in it."""
        return self.estimate.bound is not None

    @property
    def may_be_sharper(self) -> bool:
        """Whether its interval is longer than need be, which NaN counts as."""
        resolution = self.rule.resolution
        return resolution is not None and not (self.estimate.high - self.estimate.low <= resolution)

    @property
    def distance(self) -> float:
        """How far the interval is from the border of its verdict, in widths of the interval."""
        rule, (low, high) = self.rule, self.estimate.interval
        borders = (rule.threshold - rule.tolerance, rule.threshold + rule.tolerance)
        gap = min(abs(end - border) for end in (low, high) for border in borders)
        return gap / max(high - low, 1e-300) if np.isfinite(gap) else 0.0


@dataclass(frozen=True)
class Verdict:
    """What the numbers say about a claim.

    A claim of several parts is contradicted where a part is, else inconclusive where a part is,
    else supported. The fields of one number are those of the finding that decides.

    Attributes:
        findings: The numbers beside their rules; none where nothing could be judged.
        runs: The number of runs behind it.
        note: What it says in words, or why there is no verdict.
        state: `judged`, or `not run` or `failed`, which are no verdicts.
        look: How often the data were looked at, each time with more runs.
    """

    findings: tuple[Finding, ...] = ()
    runs: int = 0
    note: str = ""
    state: Literal["judged", "not run", "failed"] = "judged"
    look: int = 1

    @property
    def word(self) -> Word:
        """The verdict."""
        if self.state != "judged":
            return self.state
        words = [finding.word for finding in self.findings]
        return next(w for w in ("contradicted", "inconclusive", "supported") if w in words)

    @property
    def deciding(self) -> Finding | None:
        """The finding that decides: of the first part of the verdict, the nearest to its border."""
        if not self.findings:
            return None
        having = [finding for finding in self.findings if finding.word == self.word]
        first = [f for f in having if (f.what, f.rule) == (having[0].what, having[0].rule)]
        return min(first, key=lambda finding: finding.distance)

    @property
    def sampled(self) -> bool:
        """Whether chance had a part in it, so that it is one of those to correct for."""
        return any(finding.sampled for finding in self.findings)

    @property
    def p_value(self) -> float | None:
        """The probability of so clear a verdict by chance, at most; None where none comes in.

        Supported needs every part, so that the largest counts. One part contradicts, and it was
        chosen among all that are sampled (Bonferroni); a part that contradicts for certain leaves
        chance nothing. Undecided, the largest of the parts that are so says how far it is from a
        word.
        """
        found = [f.p_value for f in self.findings if f.word == self.word]
        known = [p for p in found if p is not None]
        if self.word == "contradicted":
            chosen = sum(finding.sampled for finding in self.findings)
            return None if None in found else min(1.0, min(known) * chosen)
        return max(known, default=None)


def corrected(verdicts: Sequence[Verdict], miss: float = 1 - LEVEL) -> list[Word]:
    """The words that stand after Holm's correction for there being so many claims.

    At most `miss` of all reports hold a false one. Every claim in which chance had a part counts,
    whatever its word: to count only those with a p-value would let the data choose how many there
    are. Words that have none stand (see `Rule.p_value`).

    Args:
        verdicts: All verdicts of a report.
        miss: The probability of one false verdict or more.

    Returns:
        Each word, or `inconclusive` where it does not survive. Source: Holm, Scandinavian Journal
        of Statistics 6 (1979).
    """
    words: list[Word] = [verdict.word for verdict in verdicts]
    chances = {i: p for i, v in enumerate(verdicts) if (p := v.p_value) is not None}
    tried = sum(verdict.sampled for verdict in verdicts)
    refused = False
    for place, i in enumerate(sorted(chances, key=lambda i: chances[i])):
        refused |= chances[i] > miss / (tried - place)
        if refused and words[i] in ("supported", "contradicted"):
            words[i] = "inconclusive"
    return words
