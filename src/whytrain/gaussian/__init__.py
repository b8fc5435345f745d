"""Expectations under Gaussian inputs: the numbers that every closed form is built from."""

from whytrain.gaussian.activation import Activation
from whytrain.gaussian.quadrature import Quadrature
from whytrain.gaussian.relu import ReLU

__all__ = ["Activation", "Quadrature", "ReLU"]
