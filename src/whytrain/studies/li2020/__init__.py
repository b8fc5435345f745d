"""Li, Luo and Yip 2022: how far a residual network leaves its tangent kernel."""

from whytrain.lab import Paper, Study
from whytrain.studies.li2020 import (
    depth,
    drift,
    hierarchy,
    limit,
    mean_kernel,
    truncation,
    width_demand,
)
from whytrain.studies.li2020.model import CONCLUSIONS, MODEL

study = Study(
    name="li2020",
    title="How far a residual network leaves its tangent kernel",
    question=(
        "How far, and how fast, does the tangent kernel of a wide network move while it trains, "
        "and what do shortcuts change?"
    ),
    paper=Paper(
        authors="Yuqing Li, Tao Luo, Nung Kwan Yip",
        title="Towards an Understanding of Residual Networks Using Neural Tangent Hierarchy (NTH)",
        venue="CSIAM Transactions on Applied Mathematics",
        year=2022,
        arxiv="2007.03714",
    ),
    topics=(
        hierarchy.TOPIC,
        drift.TOPIC,
        truncation.TOPIC,
        depth.TOPIC,
        width_demand.TOPIC,
        limit.TOPIC,
        mean_kernel.TOPIC,
    ),
    conclusions=CONCLUSIONS,
    model=MODEL,
)

__all__ = ["study"]
