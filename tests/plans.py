"""What each claim asks for and how it is judged, a line each, as it was fixed before its numbers.

`tests/plans.txt` holds the lines; a threshold, a preset's size or a default that changes by
oversight changes one of them. Who changes one on purpose writes the file anew, and says why:
`python tests/plans.py`.
"""

from functools import partial
from pathlib import Path

from whytrain import studies
from whytrain.lab.settings import as_dict, fingerprint

FILE = Path(__file__).with_suffix(".txt")
PRESETS = ("quick", "paper")


def lines(name):
    """A study's claims with their rules, and its figures, each with hashes of its two plans."""
    study = studies.load(name)
    for claim in study.claims:
        rules = "; ".join(str(part.rule) for part in claim.parts)
        yield f"{name} {claim.id}: {rules}; {_hashes(claim.plan)}"
    for figure in study.figures:
        yield f"{name} figure {figure.name}: {_hashes(partial(_asked, figure))}"


def _hashes(plan):
    return ", ".join(f"{preset} {plan(preset)[:12]}" for preset in PRESETS)


def _asked(figure, preset):
    asked = ([one.experiment, as_dict(one.settings), one.runs] for one in figure.requests(preset))
    return fingerprint(*asked)


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for name in studies.names() for line in lines(name)))
