"""The linearized view: tangent kernels, their hierarchy, and how far a network leaves them.

Names are loaded when they are first used.
"""

from whytrain._lazy import lazily

_HOME = {
    "Drift": "whytrain.kernels.spectra",
    "FlowPath": "whytrain.kernels.flows",
    "InfiniteKernel": "whytrain.kernels.infinite",
    "Plan": "whytrain.kernels.plan",
    "Regime": "whytrain.kernels.regime",
    "Spectrum": "whytrain.kernels.spectra",
    "alignment": "whytrain.kernels.spectra",
    "drift": "whytrain.kernels.spectra",
    "gradient_flow": "whytrain.kernels.flows",
    "hierarchy": "whytrain.kernels.hierarchies",
    "hierarchy_along": "whytrain.kernels.hierarchies",
    "hierarchy_blocks": "whytrain.kernels.hierarchies",
    "infinite_kernel": "whytrain.kernels.infinite",
    "kernel_regime": "whytrain.kernels.regime",
    "kernel_regression": "whytrain.kernels.spectra",
    "network_regime": "whytrain.kernels.regime",
    "similarity": "whytrain.kernels.spectra",
    "spectrum": "whytrain.kernels.spectra",
    "tangent_kernel": "whytrain.kernels.tangent",
    "truncated_flow": "whytrain.kernels.flows",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _HOME)
