"""Which runs the claims and figures ask for: the sizes of both presets, named once."""

from collections.abc import Callable, Sequence

from whytrain.lab import Request
from whytrain.studies.yin2019.alignment import AlignmentSettings
from whytrain.studies.yin2019.bounds import BoundSettings
from whytrain.studies.yin2019.descent import DescentSettings
from whytrain.studies.yin2019.fate import FateSettings
from whytrain.studies.yin2019.landscape import LandscapeSettings
from whytrain.studies.yin2019.points import PointSettings
from whytrain.studies.yin2019.rates import RateSettings
from whytrain.studies.yin2019.sampling import SampleSettings
from whytrain.studies.yin2019.setup import THEOREM
from whytrain.studies.yin2019.trajectories import TrajectorySettings
from whytrain.studies.yin2019.zero import ZeroSettings

ALIGNMENTS = (0.02, 0.1, 0.3, 0.45, 0.7)
FATE_SIZES = {"quick": (2, 10), "paper": (2, 4, 10, 40)}
LONG = 60_000  # steps of a run, which near u = 1/2 comes to its minimum only slowly


def descents(*names: str) -> Callable[[str], Sequence[Request]]:
    """Random starts over the teacher's alignment, with filters that stay long."""

    def requests(preset: str) -> Sequence[Request]:
        runs, sizes = {"quick": (300, (10,)), "paper": (5000, (4, 10, 40))}[preset]
        return [
            Request(
                "descent",
                DescentSettings(
                    ste=name, m=m, alignment=u, filter_norm=3.0, steps=LONG,
                    output_scale=0.3 * (10 / m) ** 0.5,
                ),
                runs,
            )
            for name in names
            for m in sizes
            for u in ALIGNMENTS
        ]  # fmt: skip

    return requests


def outcomes(preset: str) -> Sequence[Request]:
    """All estimators of the paper from the default starts, over the alignment."""
    runs = {"quick": 500, "paper": 5000}[preset]
    return [
        Request("descent", DescentSettings(ste=name, alignment=u), runs)
        for name in THEOREM
        for u in ALIGNMENTS
    ]


def paths(preset: str) -> Sequence[Request]:
    """Single runs of two estimators from the same starts."""
    del preset
    return [
        Request("trajectories", TrajectorySettings(ste=name), 12) for name in ("relu", "identity")
    ]


def closed_forms(preset: str) -> Sequence[Request]:
    """The closed forms at random points."""
    runs, samples, sizes = {
        "quick": (192, 8000, ((6, 4),)), "paper": (500, 20_000, ((2, 2), (6, 4), (16, 9))),
    }[preset]  # fmt: skip
    return [
        Request("landscape", LandscapeSettings(m=m, n=n, samples=samples), runs) for m, n in sizes
    ]


def points(preset: str) -> Sequence[Request]:
    """Critical points of random teachers."""
    runs, sizes = {"quick": (120, (4,)), "paper": (500, (2, 4, 10, 40))}[preset]
    return [Request("critical-points", PointSettings(m=m), runs) for m in sizes]


def bounds(preset: str) -> Sequence[Request]:
    """The constants of the bounds."""
    runs, alignments = {"quick": (8, (0.3,)), "paper": (64, (0.1, 0.3, 0.45))}[preset]
    return [Request("bounds", BoundSettings(alignment=u), runs) for u in alignments]


def zero(preset: str) -> Sequence[Request]:
    """Filters of length zero."""
    runs = {"quick": 1000, "paper": 20_000}[preset]
    return [Request("zero-filter", ZeroSettings(), runs)]


def fates(preset: str) -> Sequence[Request]:
    """The identity estimator from the spurious minimum, over the alignment."""
    # None comes nearer to u_c than 1e-3: a step size of 0.002 itself moves it by about 5e-5.
    runs, count = {"quick": (8, 10), "paper": (32, 25)}[preset]
    return [
        Request("identity-fate", FateSettings(m=m, alignments=count), runs)
        for m in FATE_SIZES[preset]
    ]


def rates(preset: str) -> Sequence[Request]:
    """Runs near each optimum that attracts them."""
    runs = {"quick": 16, "paper": 200}[preset]
    return [
        Request("rates", RateSettings(ste=name, optimum=optimum, filter_norm=norm), runs)
        for name in THEOREM
        for optimum in ("global", "spurious")
        for norm in (1.0, 4.0)
        if (name, optimum) != ("identity", "spurious")  # nothing comes to it
    ]


def samples(preset: str) -> Sequence[Request]:
    """Empirical losses along the coarse gradient."""
    runs = {"quick": 24, "paper": 100}[preset]
    return [Request("sample-size", SampleSettings(), runs)]


def maps(preset: str) -> Sequence[Request]:
    """The map of alignment for the estimators of the paper."""
    runs = {"quick": 8, "paper": 100}[preset]
    return [Request("alignment-map", AlignmentSettings(ste=name), runs) for name in THEOREM]
