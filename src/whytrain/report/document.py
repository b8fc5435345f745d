"""What a report says, as plain values: the one source of its HTML, Markdown, and JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from whytrain.lab import Paper
from whytrain.lab.reproduction import Reproduction
from whytrain.lab.verdicts import SIGNS
from whytrain.report.conclusion import conclude
from whytrain.report.drawing import Drawing
from whytrain.report.sizes import sizes
from whytrain.report.sources import Code
from whytrain.report.words import score_line


def content(
    reproduction: Reproduction, drawings: Sequence[Drawing], code: Mapping[str, Code]
) -> dict[str, Any]:
    """Return what a report says, as values that JSON can hold.

    Args:
        reproduction: The study as it was reproduced.
        drawings: Its figures.
        code: Where its claims are stated.

    Returns:
        The dictionary that `report.json` holds: what `whytrain reproduce --json` prints, and more.
    """
    study = reproduction.study
    printed = reproduction.document("report.html")
    claims = [_claim(claim, reproduction, code) for claim in printed["claims"]]
    model = study.model
    return printed | {
        "claims": claims,
        "title": study.title,
        "question": study.question,
        "conclusion": conclude(study, reproduction.outcomes),
        "model": model and {"caption": model.caption, "symbols": list(model.symbols)},
        "paper": _paper(study.paper),
        "bibtex": study.paper.bibtex(study.name),
        "verdicts": _verdicts(printed["claims"]),
        "runs": reproduction.runs,
        "score": score_line(printed["claims"]),
        "progress": _progress(reproduction),
        "sizes": sizes(study),
        "presets": list(study.presets),
        "figures": [_figure(drawing, claims) for drawing in drawings],
        "commands": list(reproduction.commands),
    }


def _claim(
    claim: dict[str, Any], reproduction: Reproduction, code: Mapping[str, Code]
) -> dict[str, Any]:
    """A claim with the command that computes it again, and where it is judged."""
    stated = code.get(claim["id"])
    return claim | {
        "command": _command(claim["id"], reproduction),
        "code": stated and f"{stated.file}:{stated.line}",
    }


def _command(claim: str, reproduction: Reproduction) -> str:
    words = shlex.split(reproduction.commands[0])[:3]
    words += ["--claim", claim, "--preset", reproduction.preset, "--seed", str(reproduction.seed)]
    words += [word for k, v in reproduction.settings.items() for word in ("--set", f"{k}={v}")]
    return shlex.join(words)


def _progress(reproduction: Reproduction) -> dict[str, int]:
    """How far it is: of the settings asked for, and of the claims."""
    found = reproduction.status()
    judged = sum(verdict.state == "judged" for _, verdict in reproduction.outcomes)
    counts = {name: found[name] for name in ("cells", "done", "failed", "missing")}
    return counts | {"claims": len(reproduction.outcomes), "judged": judged}


def _paper(paper: Paper) -> dict[str, Any]:
    return {
        "authors": paper.authors,
        "title": paper.title,
        "venue": paper.venue,
        "year": paper.year,
        "arxiv": paper.arxiv,
        "builds_on": [_paper(earlier) for earlier in paper.builds_on],
    }


def _verdicts(claims: Sequence[dict[str, Any]]) -> dict[str, int]:
    counts = Counter(claim["verdict"] for claim in claims)
    return {word: counts[word] for word in SIGNS}


def _figure(drawing: Drawing, claims: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    stem = f"figures/{drawing.name}"
    kinds = () if drawing.problem else ("png", "svg", "csv")
    return {
        "name": drawing.name,
        "title": drawing.title,
        "caption": drawing.caption,
        "seen": drawing.seen,
        "problem": drawing.problem,
        "claims": [claim["id"] for claim in claims if drawing.name in claim["figures"]],
        **{kind: f"{stem}.{kind}" for kind in kinds},
    }
