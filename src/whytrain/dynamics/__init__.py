"""How parameters move: methods, schedules, and ensembles of runs."""

from whytrain.dynamics.checkpoints import load_checkpoint, save_checkpoint
from whytrain.dynamics.counting import count, counts
from whytrain.dynamics.fits import fitted_rates
from whytrain.dynamics.gradients import Epochs, Fresh, Full, Gradient, OverLoss
from whytrain.dynamics.methods import (
    Flow,
    GradientDescent,
    GradientFlow,
    Method,
    NormalizedGradientDescent,
    NormalizedGradientFlow,
    OptaxMethod,
    StochasticGradientDescent,
)
from whytrain.dynamics.schedules import Constant, WarmUp, constant, warm_up
from whytrain.dynamics.simulate import log_times, simulate
from whytrain.dynamics.training import Trained, evaluate, train
from whytrain.dynamics.tuned import OPTIMIZERS, landscape_training

__all__ = [
    "OPTIMIZERS",
    "Constant",
    "Epochs",
    "Flow",
    "Fresh",
    "Full",
    "Gradient",
    "GradientDescent",
    "GradientFlow",
    "Method",
    "NormalizedGradientDescent",
    "NormalizedGradientFlow",
    "OptaxMethod",
    "OverLoss",
    "StochasticGradientDescent",
    "Trained",
    "WarmUp",
    "constant",
    "count",
    "counts",
    "evaluate",
    "fitted_rates",
    "landscape_training",
    "load_checkpoint",
    "log_times",
    "save_checkpoint",
    "simulate",
    "train",
    "warm_up",
]
