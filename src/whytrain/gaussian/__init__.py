"""Expectations under Gaussian inputs: the numbers that every closed form is built from."""

from whytrain.gaussian.activation import Activation
from whytrain.gaussian.estimators import ESTIMATORS, Estimator, PiecewiseConstant
from whytrain.gaussian.quadrature import Quadrature
from whytrain.gaussian.relu import ReLU
from whytrain.gaussian.step import Step, StepPiecewise, StepQuadrature, step

__all__ = [
    "ESTIMATORS",
    "Activation",
    "Estimator",
    "PiecewiseConstant",
    "Quadrature",
    "ReLU",
    "Step",
    "StepPiecewise",
    "StepQuadrature",
    "step",
]
