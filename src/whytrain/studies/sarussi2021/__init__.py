"""Sarussi, Brutzkus and Globerson 2021: two-layer networks that learn from a linear teacher."""

from whytrain.lab import Paper, Study
from whytrain.studies.sarussi2021 import agreement, clustering, kkt, optimization, pairs, scale
from whytrain.studies.sarussi2021.model import CONCLUSIONS, MODEL

study = Study(
    name="sarussi2021",
    title="What a two-layer network learns from a linear teacher",
    question=(
        "A network that could bend its boundary is trained on data that a line separates: when "
        "does it learn the line, and which one?"
    ),
    paper=Paper(
        authors="Roei Sarussi, Alon Brutzkus, Amir Globerson",
        title="Towards Understanding Learning in Neural Networks with Linear Teachers",
        venue="ICML",
        year=2021,
        arxiv="2101.02533",
    ),
    topics=(
        optimization.TOPIC,
        clustering.TOPIC,
        kkt.TOPIC,
        agreement.TOPIC,
        scale.TOPIC,
        pairs.TOPIC,
    ),
    conclusions=CONCLUSIONS,
    model=MODEL,
)

__all__ = ["study"]
