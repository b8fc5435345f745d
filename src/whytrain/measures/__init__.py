"""Numbers read off a network: norms, margins, the bounds made of them, and sharpness."""

from whytrain.measures.bounds import Facts
from whytrain.measures.capacity import Bound, Capacity, capacity
from whytrain.measures.files import read_checkpoint, read_data
from whytrain.measures.weights import TwoLayerWeights, two_layer

__all__ = [
    "Bound",
    "Capacity",
    "Facts",
    "TwoLayerWeights",
    "capacity",
    "read_checkpoint",
    "read_data",
    "two_layer",
]
