"""Neyshabur et al. 2019: why wider networks generalize better."""

from whytrain.lab import Paper, Study
from whytrain.studies.neyshabur2019.claims import CLAIMS
from whytrain.studies.neyshabur2019.figures import FIGURES
from whytrain.studies.neyshabur2019.residual_width import RESIDUAL_WIDTH
from whytrain.studies.neyshabur2019.tiny import TINY
from whytrain.studies.neyshabur2019.width import WIDTH
from whytrain.studies.neyshabur2019.witness import WITNESS

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
    experiments=(WIDTH, RESIDUAL_WIDTH, TINY, WITNESS),
    claims=CLAIMS,
    figures=FIGURES,
)

__all__ = ["study"]
