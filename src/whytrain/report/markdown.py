"""The report as Markdown, for a repository or a pull request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whytrain._mathematics import plain
from whytrain.lab.verdicts import SIGNS
from whytrain.report.numbers import duration, measurement
from whytrain.report.words import (
    corrected_words,
    level_words,
    rule_words,
    summary_line,
    verdict_words,
)


def render(content: Mapping[str, Any]) -> str:
    """Return the report as a Markdown document; its figures are files beside it.

    Args:
        content: What it says.

    Returns:
        The document.
    """
    parts = [
        f"# {_inline(content['title'])}",
        *filter(None, [_settings(content["settings"])]),
        _inline(content["question"]),
        _citation(content["paper"]),
        f"**{summary_line(content)}.**",
        *_conclusion(content["conclusion"]),
        *filter(None, [_unfinished(content["progress"])]),
        *filter(None, [content["score"] and f"{content['score']}."]),
        "## Claim beside measurement",
        _table(content),
        "## Figures",
        *[_figure(place, figure) for place, figure in enumerate(content["figures"], 1)],
        "## How this was made",
        _making(content),
    ]
    return "\n\n".join(parts) + "\n"


def _table(content: Mapping[str, Any]) -> str:
    header = "| claim | source | statement | measured | rule | runs | verdict |"
    rule = "|---|---|---|---|---|---:|---|"
    return "\n".join([header, rule, *[_row(claim) for claim in content["claims"]]])


def _row(claim: Mapping[str, Any]) -> str:
    estimate, low, high = measurement(claim["estimate"], claim["interval"])
    numbers = f"{claim['what']}: {estimate} [{low}, {high}] ({level_words(claim)})"
    measured = "; ".join(filter(None, [numbers if claim["what"] else "", claim["note"]]))
    verdict = f"{SIGNS[claim['verdict']]} {claim['verdict']}"
    words = "; ".join(filter(None, [verdict_words(claim), corrected_words(claim)]))
    cells = [
        f"`{claim['id']}` {_inline(claim['title'])}",
        _inline(claim["source"]),
        _inline(claim["statement"]),
        _inline(measured),
        _inline(rule_words(claim)),
        f"{claim['runs']:,}",
        f"{verdict} ({words})" if words else verdict,
    ]
    return f"| {' | '.join(cells)} |"


def _inline(text: str) -> str:
    r"""Return text on one line in which no character has a meaning of its own.

    Example:
        >>> _inline("a* |x|")
        'a\\* \\|x\\|'
    """
    escaped = "".join(
        f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in plain(text)
    )
    return " ".join(escaped.split())


def _citation(paper: Mapping[str, Any]) -> str:
    arxiv = paper["arxiv"]
    link = f" [arXiv:{arxiv}](https://arxiv.org/abs/{arxiv})." if arxiv else ""
    return (
        f"{_inline(paper['authors'])}: *{_inline(paper['title'])}*. "
        f"{_inline(paper['venue'])} {paper['year']}.{link}"
    )


def _conclusion(conclusion: Mapping[str, str]) -> list[str]:
    heads = {"holds": "What holds", "fails": "What fails", "matters": "Why it matters"}
    said = {head: conclusion[name] for name, head in heads.items() if conclusion[name]}
    return [f"*{head}:* {_inline(words)}" for head, words in said.items()]


def _unfinished(progress: Mapping[str, int]) -> str:
    if not progress["missing"] and not progress["failed"]:
        return ""
    return (
        f"**Unfinished:** {progress['done']} of {progress['cells']} settings are computed, "
        f"{progress['failed']} failed; {progress['judged']} of {progress['claims']} claims are "
        "judged."
    )


def _figure(place: int, figure: Mapping[str, Any]) -> str:
    title = f"**Figure {place}. {_inline(figure['title'])}.**"
    if figure["problem"]:
        return f"{title} {_inline(figure['problem'])}"
    image = f"![{_inline(figure['title'])}]({figure['png']})"
    return f"{image}\n\n{title} {_inline(figure['caption'])} [Data]({figure['csv']})"


def _making(content: Mapping[str, Any]) -> str:
    commands = "\n".join(content["commands"])
    versions = ", ".join(f"{name} {value}" for name, value in content["versions"].items())
    pieces = content["pieces"]
    return (
        f"```sh\n{commands}\n```\n\n"
        f"Preset {content['preset']}, seed {content['seed']}; started {content['started']}, "
        f"{duration(content['seconds'])}; {pieces['computed']} pieces computed, "
        f"{pieces['reused']} reused. {_inline(versions)}."
    )


def _settings(settings: Mapping[str, str]) -> str:
    told = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return told and f"At your settings, for which the study expects nothing: {_inline(told)}."
