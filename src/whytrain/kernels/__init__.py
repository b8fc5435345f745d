"""The linearized view: tangent kernels, their hierarchy, and how far a network leaves them."""

from whytrain.kernels.tangent import tangent_kernel

__all__ = ["tangent_kernel"]
