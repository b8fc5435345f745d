"""How parameters move: methods, schedules, and ensembles of runs."""

from whytrain.dynamics.counting import count, counts
from whytrain.dynamics.methods import (
    GradientDescent,
    GradientFlow,
    Method,
    NormalizedGradientDescent,
    OptaxMethod,
    StochasticGradientDescent,
)
from whytrain.dynamics.schedules import Constant, WarmUp, constant, warm_up
from whytrain.dynamics.simulate import log_times, simulate

__all__ = [
    "Constant",
    "GradientDescent",
    "GradientFlow",
    "Method",
    "NormalizedGradientDescent",
    "OptaxMethod",
    "StochasticGradientDescent",
    "WarmUp",
    "constant",
    "count",
    "counts",
    "log_times",
    "simulate",
    "warm_up",
]
