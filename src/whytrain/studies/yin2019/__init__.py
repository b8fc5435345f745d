"""Yin et al. 2019: why a straight-through estimator works, and when it does not."""

from whytrain.lab import Paper, Study
from whytrain.studies.yin2019.alignment import ALIGNMENT
from whytrain.studies.yin2019.bounds import BOUNDS
from whytrain.studies.yin2019.claims import CLAIMS
from whytrain.studies.yin2019.descent import DESCENT
from whytrain.studies.yin2019.fate import FATE
from whytrain.studies.yin2019.figures import FIGURES
from whytrain.studies.yin2019.landscape import LANDSCAPE
from whytrain.studies.yin2019.networks import NETWORKS
from whytrain.studies.yin2019.networks_claims import NETWORK_CLAIMS
from whytrain.studies.yin2019.networks_figures import NETWORK_FIGURES
from whytrain.studies.yin2019.points import POINTS
from whytrain.studies.yin2019.rates import RATES
from whytrain.studies.yin2019.sampling import SAMPLING
from whytrain.studies.yin2019.trajectories import TRAJECTORIES
from whytrain.studies.yin2019.zero import ZERO

study = Study(
    name="yin2019",
    title="Why a straight-through estimator works, and when it does not",
    question=(
        "A step has no useful derivative. Why does training with a made-up one go downhill, and "
        "which made-up ones are good?"
    ),
    paper=Paper(
        authors="Penghang Yin, Jiancheng Lyu, Shuai Zhang, Stanley Osher, Yingyong Qi, Jack Xin",
        title=(
            "Understanding Straight-Through Estimator in Training Activation Quantized Neural Nets"
        ),
        venue="ICLR",
        year=2019,
        arxiv="1903.05662",
    ),
    experiments=(
        DESCENT, TRAJECTORIES, ALIGNMENT, FATE, SAMPLING, NETWORKS, RATES, LANDSCAPE, POINTS,
        BOUNDS, ZERO,
    ),
    # The networks first: they take longest, and no core is idle at the end.
    claims=(*NETWORK_CLAIMS, *CLAIMS),
    figures=(*FIGURES, *NETWORK_FIGURES),
)  # fmt: skip

__all__ = ["study"]
