"""Which runs the claims and figures ask for: the sizes of both presets, named once."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from whytrain.lab import Request
from whytrain.studies.liu2019.landscape import LandscapeSettings
from whytrain.studies.liu2019.phases import AlignmentSettings, PriorSettings
from whytrain.studies.liu2019.rates import RateSettings
from whytrain.studies.liu2019.sampling import SamplingSettings
from whytrain.studies.liu2019.scaling import ScalingSettings
from whytrain.studies.liu2019.separatrix import SeparatrixSettings
from whytrain.studies.liu2019.setup import DescentSettings
from whytrain.studies.liu2019.trajectories import TrajectorySettings

# The teacher of the table has S^2/A = 1, which is what independent weights give on average, and
# |a*| = k, large enough that warm-up matters; `norms` shows how the outcome depends on that.
NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet with warm-up": {"architecture": "resnet", "warmup": True},
    "ResNet without": {"architecture": "resnet", "warmup": False},
    "CNN": {"architecture": "cnn", "warmup": False},
}
SIZES = {"quick": (16, 49, 100), "paper": (16, 25, 36, 49, 64, 81, 100)}
TABLE_RUNS = {"quick": 1000, "paper": 5000}
RATIOS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
BATCHES = {"quick": (8, 32, 128), "paper": (16, 64, 256, 1024)}
SCALING_SIZES = {"quick": (16, 36, 100), "paper": (16, 25, 49, 100, 196, 400)}


def table(preset: str) -> Sequence[Request]:
    """The success table: every network at every k, the networks in the order of `NETWORKS`."""
    return [
        Request("success-rate", DescentSettings(k=k, **network), TABLE_RUNS[preset])
        for k in SIZES[preset]
        for network in NETWORKS.values()
    ]


def plain_networks(preset: str) -> Sequence[Request]:
    """The plain CNN at every k."""
    return [r for r in table(preset) if r.settings.architecture == "cnn"]


def warmed_up(preset: str) -> Sequence[Request]:
    """The ResNet with warm-up over k, priors up to the paper's pi/3, and teachers."""
    runs = {"quick": 500, "paper": 5000}[preset]
    cases = [
        {"angle": angle, "alignment": alignment, "norm": norm}
        for angle in (math.pi / 6, math.pi / 3)
        for alignment in (1 / 16, 1.0, 4.0)
        for norm in (1.0, None)
    ]
    return [r for r in table(preset) if r.settings.warmup] + [
        Request("success-rate", DescentSettings(k=k, **case), runs)
        for k in (16, 49)
        for case in cases
    ]


def norms(preset: str) -> Sequence[Request]:
    """The ResNet without warm-up over the teacher's length and the ratio of step sizes, k = 25."""
    k, runs = 25, {"quick": 1000, "paper": 5000}[preset]
    return [
        Request(
            "success-rate",
            DescentSettings(k=k, warmup=False, norm=norm, filter_step_size=ratio / k**2),
            runs,
        )
        for norm in (1.0, math.sqrt(k), float(k))
        for ratio in RATIOS
    ]


def closed_forms(preset: str) -> Sequence[Request]:
    """The closed forms at random points of networks of several sizes."""
    sizes = {"quick": ((9, 4),), "paper": ((1, 2), (4, 3), (9, 4), (16, 8), (49, 8))}[preset]
    runs = {"quick": 128, "paper": 200}[preset]
    samples = {"quick": 10_000, "paper": 20_000}[preset]
    return [
        Request("landscape", LandscapeSettings(k=k, p=p, samples=samples), runs) for k, p in sizes
    ]


def near_global(preset: str) -> Sequence[Request]:
    """Runs that start near the global optimum, at several ratios of step sizes."""
    runs = {"quick": 64, "paper": 500}[preset]
    return [
        Request(
            "rates", RateSettings(k=25, step_size=0.02, filter_step_size=size, steps=20_000), runs
        )
        for size in (0.01, 0.02, 0.04)
    ]


def near_spurious(preset: str, share: float | None = None) -> Sequence[Request]:
    """Runs that start near the spurious minimum; or near angle pi, at a share of the threshold."""
    runs = {"quick": 64, "paper": 500}[preset]
    if share is not None:
        return [Request("rates", _at_threshold(k, share), runs) for k in (25, 100)]
    return [
        Request("rates", RateSettings(k=k, optimum="spurious", alignment=alignment), runs)
        for k, alignment in ((25, 1.0), (25, 4.0), (100, 1.0))
    ]


def threshold(preset: str) -> Sequence[Request]:
    """Runs that start close to angle pi, with the alignment swept across the threshold."""
    runs = {"quick": 64, "paper": 500}[preset]
    return [
        Request("rates", _at_threshold(k, share), runs)
        for k in (9, 25, 100)
        for share in threshold_shares()
    ]


def threshold_shares() -> np.ndarray:
    """The alignments of the sweep over the threshold's, in steps of 0.5 %."""
    return np.linspace(0.98, 1.02, 9) + 0.0025


def threshold_share(settings: RateSettings) -> float:
    """The alignment of a teacher over the threshold's."""
    return settings.alignment * math.pi / (settings.k + math.pi - 1)


def _at_threshold(k: int, share: float) -> RateSettings:
    alignment = share * (k + math.pi - 1) / math.pi
    return RateSettings(
        k=k, alignment=alignment, optimum="spurious", distance=0.01, spread=1e-5, early=True
    )


def border(preset: str) -> Sequence[Request]:
    """The success rate over the prior's angle, finely about the saddle's, at a small ratio."""
    runs = {"quick": 200, "paper": 1000}[preset]
    requests = []
    for k, alignment in ((16, 1.0), (49, 1.0), (49, 4.0)):
        teacher = PriorSettings(k=k, alignment=alignment, norm=1.0)
        saddle = teacher.reduction.saddle_angle
        assert saddle is not None, "below the threshold there is a saddle"
        axes = {"angle_low": saddle - 0.03, "angle_high": saddle + 0.03, "angles": 31}
        ratio = {"ratio_low": 1e-4, "ratio_high": 1e-4, "ratios": 1}
        requests.append(Request("phase-prior", dataclasses.replace(teacher, **axes, **ratio), runs))
    return requests


def scaling(preset: str) -> Sequence[Request]:
    """Steps to epsilon over k."""
    runs = {"quick": 100, "paper": 500}[preset]
    return [Request("scaling", ScalingSettings(k=k), runs) for k in SCALING_SIZES[preset]]


def batches(preset: str) -> Sequence[Request]:
    """Mini-batch descent over the batch."""
    runs, horizon = {"quick": (192, 100), "paper": (256, 300)}[preset]
    return [
        Request("sampling", SamplingSettings(batch=batch, horizon=horizon), runs)
        for batch in BATCHES[preset]
    ]


def single_runs(preset: str) -> Sequence[Request]:
    """Single runs of the three networks, k = 25."""
    runs = {"quick": 12, "paper": 24}[preset]
    return [
        Request("trajectories", TrajectorySettings(**network), runs)
        for network in NETWORKS.values()
    ]


def plane(preset: str) -> Sequence[Request]:
    """Single runs without warm-up, and where the basins part for the same step sizes."""
    settings = SeparatrixSettings()
    return [*single_runs(preset)[1:], Request("separatrix", settings, 400)]


def prior_diagram(preset: str) -> Sequence[Request]:
    """The phase diagram of the prior."""
    angles, ratios, runs = {"quick": (25, 9, 100), "paper": (59, 25, 1000)}[preset]
    return [Request("phase-prior", PriorSettings(angles=angles, ratios=ratios), runs)]


def alignment_diagram(preset: str) -> Sequence[Request]:
    """The phase diagram of the teacher's alignment."""
    alignments, ratios, runs = {"quick": (17, 5, 200), "paper": (33, 17, 1000)}[preset]
    settings = AlignmentSettings(ratio_low=0.1, alignments=alignments, ratios=ratios)
    return [Request("phase-alignment", settings, runs)]
