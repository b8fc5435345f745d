"""What each claim asks for and how it is judged, a line each, as it was fixed before its numbers.

Versions of experiments, too, by which stored numbers are found again, and their settings.
`tests/plans.txt` holds the lines; a threshold, a preset's size or a default that changes by
oversight changes one of them. Who changes one on purpose writes the file anew, and says why:
`python tests/plans.py`.
"""

from dataclasses import asdict, fields
from pathlib import Path

from whytrain import studies
from whytrain.lab.settings import as_dict, fingerprint

FILE = Path(__file__).with_suffix(".txt")
PRESETS = ("quick", "paper")


def lines(name):
    """A study's claims with their rules, and its figures, each with hashes of what they ask for."""
    study = studies.load(name)
    for experiment in study.experiments:
        declared = _hash([_declared(one) for one in fields(experiment.settings)])
        yield f"{name} experiment {experiment.name}: version {experiment.version}, {declared}"
    for claim in study.claims:
        rules = "; ".join(str(part.rule) for part in claim.parts)
        fixed = (
            claim.statement,
            claim.expected,
            claim.growth,
            *(asdict(p.rule) for p in claim.parts),
        )
        yield f"{name} {claim.id}: {rules}; {_hash(fixed)}; {_asked(claim)}"
    for figure in study.figures:
        yield f"{name} figure {figure.name}: {_asked(figure)}"


def _declared(setting):
    return setting.name, repr(setting.default), repr(sorted(setting.metadata.items()))


def _asked(part):
    return ", ".join(f"{preset} {_hash(list(_requests(part, preset)))}" for preset in PRESETS)


def _requests(part, preset):
    for one in part.requests(preset):
        yield one.experiment, as_dict(one.settings), one.runs


def _hash(plan):
    return fingerprint(_rounded(plan))[:12]


def _rounded(value):
    """To nine digits: settings that were computed differ in the last ones between processors."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for name in studies.names() for line in lines(name)))
