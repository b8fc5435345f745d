"""Liu et al. 2019: why a shortcut connection escapes a spurious optimum."""

from whytrain.lab import Paper, Study
from whytrain.studies.liu2019 import (
    borders,
    landscape,
    near_optimum,
    paths,
    sampling,
    scaling,
    success,
)
from whytrain.studies.liu2019.model import CONCLUSIONS, MODEL

study = Study(
    name="liu2019",
    title="Why a shortcut connection escapes a spurious optimum",
    question=(
        "Why does a shortcut connection, with normalization and step-size warm-up, escape a "
        "spurious optimum into which a plain CNN falls?"
    ),
    paper=Paper(
        authors="Tianyi Liu, Minshuo Chen, Mo Zhou, Simon S. Du, Enlu Zhou, Tuo Zhao",
        title="Towards Understanding the Importance of Shortcut Connections in Residual Networks",
        venue="NeurIPS",
        year=2019,
        arxiv="1909.04653",
        builds_on=(
            Paper(
                authors="Simon S. Du, Jason D. Lee, Yuandong Tian, Barnabás Póczos, Aarti Singh",
                title=(
                    "Gradient Descent Learns One-hidden-layer CNN: Don't be Afraid of Spurious "
                    "Local Minima"
                ),
                venue="ICML",
                year=2018,
                arxiv="1712.00779",
            ),
        ),
    ),
    topics=(
        landscape.TOPIC,
        near_optimum.TOPIC,
        success.TOPIC,
        borders.TOPIC,
        paths.TOPIC,
        scaling.TOPIC,
        sampling.TOPIC,
    ),
    conclusions=CONCLUSIONS,
    model=MODEL,
)

__all__ = ["study"]
