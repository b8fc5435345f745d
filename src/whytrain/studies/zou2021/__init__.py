"""Zou, Cao, Li and Gu 2023: why Adam can generalize worse than gradient descent."""

from whytrain.lab import Paper, Study
from whytrain.studies.zou2021 import convex, filters, separation, stages, sweeps
from whytrain.studies.zou2021.model import CONCLUSIONS, MODEL

study = Study(
    name="zou2021",
    title="Why Adam can generalize worse than gradient descent",
    question=(
        "From the same start, with the same weight decay: when does Adam fit the noise where "
        "gradient descent learns the feature?"
    ),
    paper=Paper(
        authors="Difan Zou, Yuan Cao, Yuanzhi Li, Quanquan Gu",
        title="Understanding the Generalization of Adam in Learning Neural Networks with Proper "
        "Regularization",
        venue="International Conference on Learning Representations",
        year=2023,
        arxiv="2108.11371",
    ),
    topics=(separation.TOPIC, stages.TOPIC, convex.TOPIC, sweeps.TOPIC, filters.TOPIC),
    conclusions=CONCLUSIONS,
    model=MODEL,
)

__all__ = ["study"]
