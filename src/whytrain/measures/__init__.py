"""Numbers read off a network: norms, margins, the bounds made of them, and sharpness."""

from whytrain.measures.arrays import Measured
from whytrain.measures.bounds import Facts
from whytrain.measures.capacity import Bound, Capacity, capacity
from whytrain.measures.clusters import (
    AgreementRegimes,
    WeightClusters,
    agreement_regimes,
    certified_linear,
    certified_signs,
    effective_rank,
    signed_units,
    weight_clusters,
)
from whytrain.measures.cross_entropy import cross_entropy
from whytrain.measures.deep import DeepMeasures, deep
from whytrain.measures.density import Density, hessian_density, spectral_density
from whytrain.measures.files import read_checkpoint, read_data, read_outputs
from whytrain.measures.flatness import Flatness, flatness
from whytrain.measures.layer_norms import LayerNorms
from whytrain.measures.linear import LinearAgreement, linear_agreement, linear_svm
from whytrain.measures.linearity import Linearity, linearity
from whytrain.measures.margins import (
    KKT,
    ClusteredLimit,
    MaxMargin,
    clustered_limit,
    kkt_residual,
    max_margin,
    normalized_margin,
)
from whytrain.measures.models import Model, network
from whytrain.measures.network import Convolution, Dense, TwoLayerWeights, forward
from whytrain.measures.norms import convolution_norm
from whytrain.measures.pac_bayes import PacBayes, pac_bayes
from whytrain.measures.reading import layers, two_layer
from whytrain.measures.spectrum import Eigenvalue, bottom_eigenvalue, lanczos, top_eigenvalue
from whytrain.measures.ste import (
    Stationary,
    SteMeasure,
    find_estimator,
    load_estimator,
    measure_ste,
)
from whytrain.measures.trace import Trace, hessian_trace, xtrace

__all__ = [
    "KKT",
    "AgreementRegimes",
    "Bound",
    "Capacity",
    "ClusteredLimit",
    "Convolution",
    "DeepMeasures",
    "Dense",
    "Density",
    "Eigenvalue",
    "Facts",
    "Flatness",
    "LayerNorms",
    "LinearAgreement",
    "Linearity",
    "MaxMargin",
    "Measured",
    "Model",
    "PacBayes",
    "Stationary",
    "SteMeasure",
    "Trace",
    "TwoLayerWeights",
    "WeightClusters",
    "agreement_regimes",
    "bottom_eigenvalue",
    "capacity",
    "certified_linear",
    "certified_signs",
    "clustered_limit",
    "convolution_norm",
    "cross_entropy",
    "deep",
    "effective_rank",
    "find_estimator",
    "flatness",
    "forward",
    "hessian_density",
    "hessian_trace",
    "kkt_residual",
    "lanczos",
    "layers",
    "linear_agreement",
    "linear_svm",
    "linearity",
    "load_estimator",
    "max_margin",
    "measure_ste",
    "network",
    "normalized_margin",
    "pac_bayes",
    "read_checkpoint",
    "read_data",
    "read_outputs",
    "signed_units",
    "spectral_density",
    "top_eigenvalue",
    "two_layer",
    "weight_clusters",
    "xtrace",
]
