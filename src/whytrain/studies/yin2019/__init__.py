"""Yin et al. 2019: why a straight-through estimator works, and when it does not."""

from whytrain import lab
from whytrain.studies.yin2019 import (
    alignment,
    bounds,
    closed_forms,
    critical_points,
    descent,
    fate,
    networks,
    rates,
    sampling,
    zero,
)
from whytrain.studies.yin2019.model import CONCLUSIONS, MODEL

study = lab.Study(
    name="yin2019",
    title="Why a straight-through estimator works, and when it does not",
    question=(
        "A step has no useful derivative. Why does training with a made-up one go downhill, and "
        "which made-up ones are good?"
    ),
    paper=lab.Paper(
        authors="Penghang Yin, Jiancheng Lyu, Shuai Zhang, Stanley Osher, Yingyong Qi, Jack Xin",
        title=(
            "Understanding Straight-Through Estimator in Training Activation Quantized Neural Nets"
        ),
        venue="ICLR",
        year=2019,
        arxiv="1903.05662",
    ),
    # The networks first: they take longest, and no core is idle at the end.
    topics=(
        networks.TOPIC, descent.TOPIC, alignment.TOPIC, fate.TOPIC, sampling.TOPIC, rates.TOPIC,
        closed_forms.TOPIC, critical_points.TOPIC, bounds.TOPIC, zero.TOPIC,
    ),
    conclusions=CONCLUSIONS,
    model=MODEL,
)  # fmt: skip

__all__ = ["study"]
