"""Samples: image sets by name, subsets, normalization, random labels."""

from whytrain.data.dataset import Dataset, normalize, random_labels, subset
from whytrain.data.load import available, load

__all__ = ["Dataset", "available", "load", "normalize", "random_labels", "subset"]
