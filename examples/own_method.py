"""A method of one's own beside a built-in and an Optax one, on the shared-filter network.

Sign descent moves every parameter by the same amount, whatever the size of its gradient. How
often does it end at the global optimum of a plain CNN, compared with the others?
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import whytrain as wt
from whytrain.dynamics.methods import Method, State
from whytrain.landscapes import Outcome, Weights


class SignDescent(Method):
    """`params <- retract(params - size * sign(tangent gradient))`, with a size that decays."""

    size: float

    def step(self, landscape, state, step, key):
        """One step."""
        slope = landscape.tangent(state.params, landscape.grad(state.params))
        size = self.size * 0.999**step
        moved = jax.tree.map(lambda p, g: p - size * jnp.sign(g), state.params, slope)
        return State(landscape.retract(moved))


def starts(landscape, runs, seed=0):
    """Filters anywhere on the sphere, output weights of the teacher's size."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((runs, landscape.p))
    a = rng.standard_normal((runs, landscape.k)) / np.sqrt(landscape.k)
    return Weights(v / np.linalg.norm(v, axis=1, keepdims=True), a)


NETWORK = wt.SharedFilter(np.array([1.0, 0, 0, 0]), np.array([2.0, -1, 1, -1, 0]) / np.sqrt(7))
METHODS = {
    "normalized descent": wt.NormalizedGradientDescent(0.2),
    "momentum (Optax)": wt.OptaxMethod(optax.sgd(0.05, momentum=0.9), normalized=True),
    "sign descent": SignDescent(0.02),
}


def main() -> None:
    """Print where 300 runs of every method end."""
    for name, method in METHODS.items():
        runs = wt.simulate(NETWORK, method, starts(NETWORK, runs=300), steps=8000)
        counts = {outcome.word: int((runs.outcome == outcome).sum()) for outcome in Outcome}
        print(f"{name}:", {word: count for word, count in counts.items() if count})


if __name__ == "__main__":
    main()
