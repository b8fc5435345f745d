"""What is minimized: population losses in closed form, and what is known of their shape."""

from whytrain.landscapes.landscape import CriticalPoint, Landscape, at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.plane import PlaneOrder, PlaneReduction
from whytrain.landscapes.reduction import Reduction, VectorStep
from whytrain.landscapes.rule import Rule
from whytrain.landscapes.settled import SettledShape, SphereOrder
from whytrain.landscapes.shared_filter import SharedFilter
from whytrain.landscapes.sphere import SphereReduction
from whytrain.landscapes.weights import Weights, aligned_output, angle_between

__all__ = [
    "CriticalPoint",
    "Landscape",
    "Outcome",
    "PlaneOrder",
    "PlaneReduction",
    "Reduction",
    "Rule",
    "SettledShape",
    "SharedFilter",
    "SphereOrder",
    "SphereReduction",
    "VectorStep",
    "Weights",
    "aligned_output",
    "angle_between",
    "at_each",
]
