"""What is minimized: population losses in closed form, and what is known of their shape."""

from whytrain.landscapes.landscape import CriticalPoint, Landscape, at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.plane import PlaneOrder, PlaneReduction
from whytrain.landscapes.profile import AngleProfile, SphereOrder
from whytrain.landscapes.reduction import Reduction, VectorStep
from whytrain.landscapes.rule import Rule
from whytrain.landscapes.shared_filter import SharedFilter
from whytrain.landscapes.sphere import SphereReduction
from whytrain.landscapes.starts import (
    ball_coordinates,
    gaussian_coordinates,
    plane_sums,
    sphere_angle,
)
from whytrain.landscapes.weights import Weights, aligned_output, angle_between

__all__ = [
    "AngleProfile",
    "CriticalPoint",
    "Landscape",
    "Outcome",
    "PlaneOrder",
    "PlaneReduction",
    "Reduction",
    "Rule",
    "SharedFilter",
    "SphereOrder",
    "SphereReduction",
    "VectorStep",
    "Weights",
    "aligned_output",
    "angle_between",
    "at_each",
    "ball_coordinates",
    "gaussian_coordinates",
    "plane_sums",
    "sphere_angle",
]
