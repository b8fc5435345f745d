"""The linearized view: tangent kernels, their hierarchy, and how far a network leaves them."""

from whytrain.kernels.flows import FlowPath, gradient_flow, truncated_flow
from whytrain.kernels.hierarchy import hierarchy, hierarchy_along, hierarchy_blocks
from whytrain.kernels.infinite import InfiniteKernel, infinite_kernel
from whytrain.kernels.plan import Plan
from whytrain.kernels.regime import Regime, kernel_regime, network_regime
from whytrain.kernels.spectrum import (
    Drift,
    Spectrum,
    alignment,
    drift,
    kernel_regression,
    similarity,
    spectrum,
)
from whytrain.kernels.tangent import tangent_kernel

__all__ = [
    "Drift",
    "FlowPath",
    "InfiniteKernel",
    "Plan",
    "Regime",
    "Spectrum",
    "alignment",
    "drift",
    "gradient_flow",
    "hierarchy",
    "hierarchy_along",
    "hierarchy_blocks",
    "infinite_kernel",
    "kernel_regime",
    "kernel_regression",
    "network_regime",
    "similarity",
    "spectrum",
    "tangent_kernel",
    "truncated_flow",
]
