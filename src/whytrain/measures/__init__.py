"""Numbers read off a network: norms, margins, the bounds made of them, and sharpness."""

from whytrain.measures.arrays import Measured
from whytrain.measures.bounds import Facts
from whytrain.measures.capacity import Bound, Capacity, capacity
from whytrain.measures.deep import DeepMeasures, LayerNorms, deep
from whytrain.measures.files import read_checkpoint, read_data, read_outputs
from whytrain.measures.flatness import Flatness, flatness
from whytrain.measures.network import Convolution, Dense, TwoLayerWeights, forward
from whytrain.measures.norms import convolution_norm
from whytrain.measures.reading import layers, two_layer
from whytrain.measures.spectrum import (
    TopEigenvalue,
    Trace,
    hessian_trace,
    hutchpp,
    lanczos,
    top_eigenvalue,
)
from whytrain.measures.ste import (
    Stationary,
    SteMeasure,
    find_estimator,
    load_estimator,
    measure_ste,
)

__all__ = [
    "Bound",
    "Capacity",
    "Convolution",
    "DeepMeasures",
    "Dense",
    "Facts",
    "Flatness",
    "LayerNorms",
    "Measured",
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
