"""Neyshabur et al. 2019: why wider networks generalize better."""

from whytrain.lab import Paper, Study
from whytrain.studies.neyshabur2019 import (
    bounds,
    complexity,
    errors,
    layers,
    lower_bound,
    residual_width,
)
from whytrain.studies.neyshabur2019.model import CONCLUSIONS, MODEL

study = Study(
    name="neyshabur2019",
    title="Why wider networks generalize better",
    question=(
        "Why does the test error of a network keep falling when it is made wider than it need be "
        "to fit its sample, and which measure of capacity falls with it?"
    ),
    paper=Paper(
        authors=("Behnam Neyshabur, Zhiyuan Li, Srinadh Bhojanapalli, Yann LeCun, Nathan Srebro"),
        title="The Role of Over-Parametrization in Generalization of Neural Networks",
        venue="ICLR",
        year=2019,
        arxiv="1805.12076",
    ),
    topics=(
        complexity.TOPIC,
        lower_bound.TOPIC,
        errors.TOPIC,
        residual_width.TOPIC,
        layers.TOPIC,
        bounds.TOPIC,
    ),
    conclusions=CONCLUSIONS,
    model=MODEL,
)

__all__ = ["study"]
