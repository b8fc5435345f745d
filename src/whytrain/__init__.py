"""A laboratory for the question why training works.

Papers that answer it for models small enough to analyze become executable here: a landscape in
closed form, its dynamics over ensembles of any size, each statement tested as a claim.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Landscape": "whytrain.landscapes",
    "CriticalPoint": "whytrain.landscapes",
    "SharedFilter": "whytrain.landscapes",
    "simulate": "whytrain.dynamics",
    "GradientDescent": "whytrain.dynamics",
    "NormalizedGradientDescent": "whytrain.dynamics",
    "StochasticGradientDescent": "whytrain.dynamics",
    "OptaxMethod": "whytrain.dynamics",
    "GradientFlow": "whytrain.dynamics",
    "NormalizedGradientFlow": "whytrain.dynamics",
    "warm_up": "whytrain.dynamics",
    "constant": "whytrain.dynamics",
    "ReLU": "whytrain.gaussian",
    "Quadrature": "whytrain.gaussian",
    "Study": "whytrain.lab",
    "Experiment": "whytrain.lab",
    "Claim": "whytrain.lab",
    "Verdict": "whytrain.lab",
    "Request": "whytrain.lab",
    "Figure": "whytrain.lab",
    "Settings": "whytrain.lab",
    "setting": "whytrain.lab",
    "Derived": "whytrain.lab",
    "compare_optimizers": "whytrain.lab",
    "portrait": "whytrain.portraits",
    "open": "whytrain.lab",
    "reproduce": "whytrain.commands",
    "run": "whytrain.commands",
    "sweep": "whytrain.commands",
    "UserError": "whytrain.errors",
    "UnstableStepWarning": "whytrain.errors",
    "figures": "whytrain.report",
}

_PACKAGES = (
    "data",
    "dynamics",
    "gaussian",
    "kernels",
    "lab",
    "landscapes",
    "measures",
    "networks",
    "portraits",
    "studies",
    "testing",
)

__all__ = ["__version__", *_HOME, *_PACKAGES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"whytrain.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'whytrain' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    value = getattr(home, name, None) or importlib.import_module(f"{home.__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
