"""Numbers read off a network: norms, margins, the bounds made of them, and sharpness."""

from whytrain.measures.bounds import Facts
from whytrain.measures.capacity import Bound, Capacity, capacity
from whytrain.measures.convolutions import convolution_norm
from whytrain.measures.deep import DeepMeasures, LayerNorms, deep
from whytrain.measures.files import read_checkpoint, read_data, read_outputs
from whytrain.measures.flatness import Flatness, flatness
from whytrain.measures.layers import Convolution, Dense, forward
from whytrain.measures.reading import layers
from whytrain.measures.sharpness import TopEigenvalue, lanczos, top_eigenvalue
from whytrain.measures.ste import (
    Stationary,
    SteMeasure,
    find_estimator,
    load_estimator,
    measure_ste,
)
from whytrain.measures.trace import Trace, hessian_trace, hutchpp
from whytrain.measures.weights import TwoLayerWeights, two_layer

__all__ = [
    "Bound",
    "Capacity",
    "Convolution",
    "DeepMeasures",
    "Dense",
    "Facts",
    "Flatness",
    "LayerNorms",
    "Stationary",
    "SteMeasure",
    "TopEigenvalue",
    "Trace",
    "TwoLayerWeights",
    "capacity",
    "convolution_norm",
    "deep",
    "find_estimator",
    "flatness",
    "forward",
    "hessian_trace",
    "hutchpp",
    "lanczos",
    "layers",
    "load_estimator",
    "measure_ste",
    "read_checkpoint",
    "read_data",
    "read_outputs",
    "top_eigenvalue",
    "two_layer",
]
