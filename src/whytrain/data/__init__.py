"""Samples: image sets by name, subsets, normalization, random labels; and distributions."""

from whytrain.data.dataset import Dataset, enlarge, normalize, random_labels, subset
from whytrain.data.distribution import Distribution, GaussianMixture, LinearTeacher
from whytrain.data.load import available, load

__all__ = [
    "Dataset",
    "Distribution",
    "GaussianMixture",
    "LinearTeacher",
    "available",
    "enlarge",
    "load",
    "normalize",
    "random_labels",
    "subset",
]
