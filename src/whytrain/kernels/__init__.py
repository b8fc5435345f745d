"""The linearized view: tangent kernels, their hierarchy, and how far a network leaves them.

Names are loaded when they are first used.
"""

from whytrain._lazy import lazily

_HOME = {
    "Drift": "whytrain.kernels.spectra",
    "Plan": "whytrain.kernels.plan",
    "Regime": "whytrain.kernels.regime",
    "Spectrum": "whytrain.kernels.spectra",
    "alignment": "whytrain.kernels.spectra",
    "drift": "whytrain.kernels.spectra",
    "kernel_regime": "whytrain.kernels.regime",
    "kernel_regression": "whytrain.kernels.spectra",
    "network_regime": "whytrain.kernels.regime",
    "similarity": "whytrain.kernels.spectra",
    "spectrum": "whytrain.kernels.spectra",
    "tangent_kernel": "whytrain.kernels.tangent",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _HOME)
