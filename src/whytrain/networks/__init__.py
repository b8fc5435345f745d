"""Finite networks: pure functions of parameters and inputs, trained or not."""

from whytrain.networks.costs import cross_entropy, logistic, square
from whytrain.networks.dense import FullyConnected, LeakyTwoLayer, ResidualDense
from whytrain.networks.lenet import LeNet5
from whytrain.networks.network import ImageNetwork, Network, Output
from whytrain.networks.quantizer import Quantizer, quantizer, resolution, stack
from whytrain.networks.residual import ResNet8, ResNet18
from whytrain.networks.risk import Batch, EmpiricalRisk
from whytrain.networks.two_layer import TwoLayer

__all__ = [
    "Batch",
    "EmpiricalRisk",
    "FullyConnected",
    "ImageNetwork",
    "LeNet5",
    "LeakyTwoLayer",
    "Network",
    "Output",
    "Quantizer",
    "ResNet8",
    "ResNet18",
    "ResidualDense",
    "TwoLayer",
    "cross_entropy",
    "logistic",
    "quantizer",
    "resolution",
    "square",
    "stack",
]
