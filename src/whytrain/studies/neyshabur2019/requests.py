"""Which runs the claims and figures ask for: the sizes of both presets, named once."""

from collections.abc import Sequence

from whytrain.lab import Request
from whytrain.studies.neyshabur2019.residual_width import ResidualSettings
from whytrain.studies.neyshabur2019.tiny import TinySettings
from whytrain.studies.neyshabur2019.width import WidthSettings
from whytrain.studies.neyshabur2019.witness import WitnessSettings

DATA = {"quick": "digits", "paper": "fashion-mnist"}
WIDTHS = {"quick": (8, 32, 128, 512, 2048), "paper": (8, 32, 128, 512, 2048, 4096, 8192)}
DIGITS = WIDTHS["quick"]
RANDOM = 512  # the width at which true and random labels are compared
NARROW = 8  # networks of this width differ ten times as much from run to run as wider ones
L1_FROM, L1_TO = 32, 512  # where terms of l1 type are held against the paper's
RESIDUAL = {"quick": (2, 4, 8), "paper": (4, 6, 8, 12, 16)}  # channels, ceil(2^(2 + i/2))
SIZES = {"quick": (4, 16, 64, 256), "paper": (4, 16, 64, 256, 1024)}


def _trained(data: str, width: int, labels: str = "true") -> Request:
    few, many = (8, 64) if data == "digits" else (5, 10)
    runs = many if width <= NARROW else few
    return Request("width", WidthSettings(data=data, width=width, labels=labels), runs)


def widths(preset: str) -> Sequence[Request]:
    """Networks of every width on the data of the preset."""
    return [_trained(DATA[preset], width) for width in WIDTHS[preset]]


def digits(preset: str) -> Sequence[Request]:
    """Networks of every width on digits, in both presets: there the caveats show."""
    del preset
    return [_trained("digits", width) for width in DIGITS]


def both(preset: str) -> Sequence[Request]:
    """Digits, and then the preset's own data if they are others."""
    return digits(preset) if preset == "quick" else [*digits(preset), *widths(preset)]


def labels(preset: str) -> Sequence[Request]:
    """One width with true labels, and with random ones."""
    return [_trained(DATA[preset], RANDOM, kind) for kind in ("true", "random")]


def residual(preset: str) -> Sequence[Request]:
    """Residual networks of every width on the data of the preset."""
    runs = {"quick": 8, "paper": 4}[preset]
    return [
        Request("residual-width", ResidualSettings(data=DATA[preset], width=width), runs)
        for width in RESIDUAL[preset]
    ]


def tiny(preset: str) -> Sequence[Request]:
    """Tiny classes by brute force."""
    runs = {"quick": 30, "paper": 200}[preset]
    return [Request("tiny", TinySettings(h=h), runs) for h in (1, 3)]


def covered(preset: str) -> Sequence[Request]:
    """Networks of every width, and tiny classes, which have the covering number."""
    return [*widths(preset), *tiny(preset)]


def witnesses(preset: str) -> Sequence[Request]:
    """The witness of Theorem 3 at several sizes, units equal (first) and skewed."""
    return [
        Request("witness", WitnessSettings(h=h, n=n, units=units), 400)
        for units in ("equal", "skewed")
        for n in (1, 25)
        for h in SIZES[preset]
    ]


def equal_witnesses(preset: str) -> Sequence[Request]:
    """The witness with equal units, over sizes."""
    return [Request("witness", WitnessSettings(h=h), 400) for h in SIZES[preset]]
