"""Claims held against worlds that a test makes up, and words derived again from what is printed."""

import json
import math

from whytrain.lab import Cell, Cells
from whytrain.lab.reproduction import claim_document


def judged(claim, datasets, preset="quick"):
    """The verdict on a claim whose requests found these datasets, in their order."""
    return claim.judge(world(claim, datasets, preset))


def world(claim, datasets, preset="quick"):
    asked = claim.requests(preset)
    return Cells([Cell(r.settings, d) for r, d in zip(asked, datasets, strict=True)])


def rederived(claim, verdict):
    """The word of a verdict, by a reader who has nothing but its JSON document."""
    document = json.loads(json.dumps(claim_document(claim, verdict), allow_nan=False))
    words = [by_hand(part) for part in document["parts"]]
    assert words == [part["verdict"] for part in document["parts"]]
    for word in ("contradicted", "inconclusive", "supported"):
        if word in words:
            assert by_hand(document) == word, "the number that is shown is not the one that decides"
            return word
    return document["verdict"]


def by_hand(shown):
    """What docs/verdicts.md says of a number beside its rule."""
    low, high = shown["interval"]
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    bound, slack, relation = shown["threshold"], shown["tolerance"], shown["relation"]
    if relation == "<=":
        return "supported" if high <= bound else "contradicted"
    if relation == "covers":
        return "supported" if low <= bound <= high else "contradicted"
    if relation == "every":
        if shown["estimate"] < 1:
            return "contradicted"
        return "supported" if low > bound else "inconclusive"
    if relation == "=":
        if bound - slack <= low and high <= bound + slack:
            return "supported"
        return "contradicted" if high < bound - slack or low > bound + slack else "inconclusive"
    assert relation in "<>"
    if relation == "<":
        low, high, bound = -high, -low, -bound
    return "supported" if low > bound else "contradicted" if high <= bound else "inconclusive"
