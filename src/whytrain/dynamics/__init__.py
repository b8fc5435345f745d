"""How parameters move: methods, schedules, and ensembles of runs.

What trains networks is loaded when it is first used: ensembles have no need of it.
"""

from typing import TYPE_CHECKING

from whytrain._lazy import lazily
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

if TYPE_CHECKING:
    from whytrain.dynamics.checkpoints import load_checkpoint, save_checkpoint
    from whytrain.dynamics.training import Trained, evaluate, train
    from whytrain.dynamics.tuned import OPTIMIZERS, landscape_training

_LATER = {
    "OPTIMIZERS": "whytrain.dynamics.tuned",
    "Trained": "whytrain.dynamics.training",
    "evaluate": "whytrain.dynamics.training",
    "landscape_training": "whytrain.dynamics.tuned",
    "load_checkpoint": "whytrain.dynamics.checkpoints",
    "save_checkpoint": "whytrain.dynamics.checkpoints",
    "train": "whytrain.dynamics.training",
}

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
__getattr__, _ = lazily(__name__, _LATER)
