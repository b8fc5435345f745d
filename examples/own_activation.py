"""The shared-filter network with an activation of one's own: critical points, and where runs end.

All closed forms of the landscape are built from Gaussian expectations of the activation, so that
writing the activation is all it takes.
"""

import jax
import numpy as np

import whytrain as wt
from whytrain.landscapes import Outcome, SphereOrder, Weights

FILTER = np.array([0.6, 0.8])
TEACHERS = {"sum 4": np.full(16, 0.25), "sum 0": 0.25 * (-1.0) ** np.arange(16)}
ACTIVATIONS = {
    "relu": wt.ReLU(),
    "softplus": wt.Quadrature(jax.nn.softplus),
    "tanh": wt.Quadrature(jax.numpy.tanh),
}


def main() -> None:
    """Print the critical points of every network, then where softplus networks end."""
    for name, activation in ACTIVATIONS.items():
        for words, output_star in TEACHERS.items():
            landscape = wt.SharedFilter(FILTER, output_star, activation)
            print(f"{name}, teacher of {words}: {places(landscape)}")
    coarse = wt.Quadrature(jax.nn.softplus, nodes=12)  # 1e-6 is enough to follow runs
    landscape = wt.SharedFilter(FILTER, TEACHERS["sum 0"], coarse).on_sphere()
    angles = np.linspace(0.1, 3.0, 30)
    starts = SphereOrder(angles, np.zeros(30), np.zeros(30))
    method = wt.NormalizedGradientDescent(Weights(filter=1.0, output=0.1))
    runs = wt.simulate(landscape, method, starts, steps=500)
    counts = {outcome.word: int((runs.outcome == outcome).sum()) for outcome in Outcome}
    print("30 softplus runs:", {word: count for word, count in counts.items() if count})


def places(landscape: wt.SharedFilter) -> str:
    """The critical points of a network, by the angle of the filter to the teacher's."""
    points = landscape.on_sphere().critical_points()
    return ", ".join(f"{p.kind} at {np.degrees(p.params.angle):.1f} degrees" for p in points)


if __name__ == "__main__":
    main()
