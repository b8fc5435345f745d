"""A landscape as a training that is a function of optimizer, step size, weight decay and seed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from whytrain._types import Numeric
from whytrain.dynamics.gradients import Full, Gradient
from whytrain.dynamics.methods import Method, OptaxMethod, State
from whytrain.dynamics.simulate import simulate
from whytrain.errors import UserError, nearest
from whytrain.landscapes import Landscape

Make = Callable[[Any, Any], optax.GradientTransformation]


def _coupled(transformation: optax.GradientTransformation, decay: Any) -> Any:
    return optax.chain(optax.add_decayed_weights(decay), transformation)


OPTIMIZERS: Mapping[str, Make] = MappingProxyType({
    "sgd": lambda rate, decay: _coupled(optax.sgd(rate), decay),
    "momentum": lambda rate, decay: _coupled(optax.sgd(rate, momentum=0.9), decay),
    "nesterov": lambda rate, decay: _coupled(optax.sgd(rate, 0.9, nesterov=True), decay),
    "sign": lambda rate, decay: _coupled(optax.sign_sgd(rate), decay),
    "rmsprop": lambda rate, decay: _coupled(optax.rmsprop(rate), decay),
    "adam": lambda rate, decay: _coupled(optax.adam(rate), decay),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay),
    "lion": lambda rate, decay: optax.lion(rate, weight_decay=decay),
})  # fmt: skip
"""Optimizers by name: a learning rate and a weight decay make one; coupled but for the last two."""


class Tuned(Method):
    """An optimizer whose numbers are arguments of the compiled program, so that all share it.

    Attributes:
        make: Gives the Optax transformation of a learning rate and a weight decay.
        learning_rate: The step size.
        weight_decay: The other number.
        gradient: Which gradient, as for `OptaxMethod`.
    """

    make: Make = eqx.field(static=True)
    learning_rate: Float[Numeric, ""]
    weight_decay: Float[Numeric, ""]
    gradient: Gradient = Full()

    @property
    def _method(self) -> OptaxMethod:
        made = self.make(self.learning_rate, self.weight_decay)
        return OptaxMethod(made, gradient=self.gradient)

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """As `OptaxMethod`."""
        return self._method.init(landscape, params)

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """As `OptaxMethod`."""
        return self._method.step(landscape, state, step, key)


def landscape_training(
    landscape: Landscape,
    start: Callable[[Array], PyTree],
    steps: int,
    *,
    score: str | Callable[[PyTree], Any] = "loss",
    gradient: Gradient | None = None,
    looks: int = 30,
    optimizers: Mapping[str, Make] = OPTIMIZERS,
) -> Callable[[str, float, float, int], dict[str, np.ndarray]]:
    """A landscape as what `compare_optimizers` takes: a training, of four arguments.

    Args:
        landscape: What is minimized.
        start: Draws the initial parameters from a key; a seed gives every optimizer the same ones.
        steps: Steps of each training.
        score: What is compared, the lower the better: an observable of the landscape by name, or a
            function of the parameters.
        gradient: `Full()` unless given; `Epochs(batch)` for minibatches of a landscape that has
            examples.
        looks: How often loss and score are looked at, evenly spaced.
        optimizers: By name; each makes an Optax transformation of a learning rate and a weight
            decay, which may be traced. `OPTIMIZERS` unless given.

    Returns:
        `train(optimizer, learning_rate, weight_decay, seed)`, which gives `loss` and `score` at the
        looks.

    Raises:
        UserError: There are fewer steps than looks; of `train`, there is no such optimizer.

    Example:
        >>> class Valley(Landscape):
        ...     def loss(self, params):
        ...         return params[0] ** 2 + 100 * params[1] ** 2
        >>> train = landscape_training(Valley(), lambda key: jax.random.normal(key, (2,)), 100)
        >>> found = train("momentum", 0.001, 0.0, 0)
        >>> found["loss"].shape, bool(found["score"][-1] < found["score"][0])
        ((30,), True)
    """
    if not 2 <= looks <= steps:
        raise UserError(f"looks must be from 2 to steps = {steps}, got {looks}")
    times = np.unique(np.linspace(0, steps, looks).round().astype(int))
    seen = {"loss": landscape.loss, "score": score} if callable(score) else ["loss", score]
    using = Full() if gradient is None else gradient

    def train(
        optimizer: str, learning_rate: float, weight_decay: float, seed: int
    ) -> dict[str, np.ndarray]:
        if optimizer not in optimizers:
            hint = nearest(optimizer, optimizers) or f"; there is {', '.join(optimizers)}"
            raise UserError(f"unknown optimizer {optimizer!r}{hint}")
        of_start, of_steps = jax.random.split(jax.random.key(seed))
        method = Tuned(
            optimizers[optimizer], np.float64(learning_rate), np.float64(weight_decay), using
        )
        first = jax.tree.map(lambda leaf: np.asarray(leaf)[None], start(of_start))
        found = simulate(
            landscape, method, first, steps, observables=seen, times=times, keys=of_steps[None]
        )
        return {
            "loss": found["loss"].values[0],
            "score": found[score if isinstance(score, str) else "score"].values[0],
        }

    return train
