"""Finite networks: pure functions of parameters and images, trained or not."""

from whytrain.networks.lenet import LeNet5
from whytrain.networks.network import Network, Output, cross_entropy
from whytrain.networks.quantizer import Quantizer, quantizer, resolution, stack
from whytrain.networks.residual import ResNet8, ResNet18
from whytrain.networks.risk import Batch, EmpiricalRisk
from whytrain.networks.two_layer import TwoLayer

__all__ = [
    "Batch",
    "EmpiricalRisk",
    "LeNet5",
    "Network",
    "Output",
    "Quantizer",
    "ResNet8",
    "ResNet18",
    "TwoLayer",
    "cross_entropy",
    "quantizer",
    "resolution",
    "stack",
]
