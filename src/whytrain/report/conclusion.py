"""What to take home from a report: three sentences, chosen by the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whytrain.lab import Claim, Conclusion, Study, Verdict

_MOST = 4
_UNDECIDED = ("inconclusive", "not run", "failed")


def conclude(study: Study, outcomes: Sequence[tuple[Claim, Verdict]]) -> dict[str, str]:
    """Say what holds, what fails, and why that matters.

    Args:
        study: The study, with its words.
        outcomes: Claims with their verdicts.

    Returns:
        A sentence for `holds`, `fails` and `matters`; the last is empty where nothing came out in
        the way that the study can explain. Claims of which the study has no words speak with their
        titles.
    """
    words = {claim.id: verdict.word for claim, verdict in outcomes}
    known = {claim.id: claim for claim, _ in outcomes}
    told = [one for one in study.conclusions if words.keys() >= set(one.claims)]
    covered = {id for one in told for id in one.claims}
    alone = [_in_its_title(claim) for id, claim in known.items() if id not in covered]
    surprising = [one for one in alone if words[one.claims[0]] == "contradicted" or not told]
    return {
        "holds": _holding([*told, *([] if told else alone)], words),
        "fails": _failing([*told, *surprising], words),
        "matters": " ".join(
            one.matters for one in told if one.matters and _as_expected(one, words, known)
        ),
    }


def _in_its_title(claim: Claim) -> Conclusion:
    title = f"“{claim.title}”"
    return Conclusion((claim.id,), title, title)


def _holding(told: Sequence[Conclusion], words: Mapping[str, str]) -> str:
    found = [
        one.holds for one in told if all(words[id] == "supported" for id in one.claims) if one.holds
    ]
    return _sentence(found) or "Nothing so far."


def _failing(told: Sequence[Conclusion], words: Mapping[str, str]) -> str:
    found = [one.fails for one in told if any(words[id] == "contradicted" for id in one.claims)]
    open_ = sum(word in _UNDECIDED for word in words.values())
    undecided = f"{open_} of {len(words)} claims are not decided." if open_ else ""
    return " ".join(filter(None, [_sentence(found) or "Nothing that was tested.", undecided]))


def _sentence(clauses: Sequence[str]) -> str:
    clauses = [clause for clause in clauses if clause]
    more = [f"and {len(clauses) - _MOST} more"] if len(clauses) > _MOST else []
    text = "; ".join([*clauses[:_MOST], *more])
    return text and text[0].upper() + text[1:] + "."


def _as_expected(
    one: Conclusion, words: Mapping[str, str], known: Mapping[str, Claim]
) -> bool:  # fmt: skip
    return all(words[id] == known[id].expected for id in one.claims)
