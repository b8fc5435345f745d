"""Empirical risk: the landscape of a network on given data."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Shaped

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.landscapes import Landscape
from whytrain.networks.costs import Cost, check_targets, cross_entropy
from whytrain.networks.network import Activation, ImageNetwork, Network, Output, Params


class Batch(NamedTuple):
    """Inputs with what is to be said of them."""

    inputs: Shaped[Array, "batch ..."]
    targets: Shaped[Array, "batch ..."]


class EmpiricalRisk(Landscape):
    """The mean cost of a network over given examples, as a function of its parameters.

        loss(params) = cost(network(params, inputs), targets)

    A landscape like any other: `simulate` descends on it. `sample` draws minibatches with
    replacement; `Epochs` goes through them without. For many epochs of an image network on a
    `Dataset` `train` is the fast way.

    Attributes:
        network: The network.
        inputs: All inputs, an array over examples.
        targets: What is to be said of each: classes, values, or signs.
        cost: `cost(outputs, targets)`, a mean over examples: `cross_entropy` of logits and classes,
            `square` of values, `logistic` of signs, or a function of your own.
        activation: The activation of an image network, by default the ReLU. With a `Quantizer`,
            `grad` is the coarse gradient. A network of another kind has its own.

    Raises:
        UserError: There is not one target an input, the targets are not of the cost's kind, or the
            network takes no activation.

    Example:
        >>> from whytrain.networks import TwoLayer
        >>> network = TwoLayer((2, 2, 1), width=3, classes=2)
        >>> risk = EmpiricalRisk(network, jnp.ones((4, 2, 2, 1)), jnp.array([0, 1, 0, 1]))
        >>> params = jax.tree.map(lambda leaf: 0 * leaf, network.init(jax.random.key(0)))
        >>> print(f"{risk.loss(params):.4f}")
        0.6931
    """

    network: Network
    inputs: Shaped[Numeric, "example ..."]
    targets: Shaped[Numeric, "target ..."]
    cost: Cost = eqx.field(static=True, default=cross_entropy)
    activation: Activation | None = None

    def __check_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise UserError(
                f"inputs and targets must be as many, got {len(self.inputs)} and "
                f"{len(self.targets)}"
            )
        if self.activation is not None and not isinstance(self.network, ImageNetwork):
            raise UserError(
                f"activation is for image networks; {type(self.network).__name__} has its own"
            )
        image = isinstance(self.network, ImageNetwork)
        classes = getattr(self.network, "classes" if image else "outputs", None)
        check_targets(self.cost, self.targets, classes if isinstance(classes, int) else None)

    def __len__(self) -> int:
        return len(self.targets)

    def loss(self, params: Params) -> Float[Array, ""]:
        """The mean cost over all examples."""
        return self.empirical_loss(
            params, Batch(jnp.asarray(self.inputs), jnp.asarray(self.targets))
        )

    def sample(self, key: Array, n: int) -> Batch:
        """`n` examples, drawn with replacement."""
        chosen = jax.random.randint(key, (n,), 0, len(self))
        return self.batch(chosen)

    def batch(self, chosen: Int[Array, " batch"]) -> Batch:
        """The examples with these numbers."""
        return Batch(jnp.asarray(self.inputs)[chosen], jnp.asarray(self.targets)[chosen])

    def empirical_loss(self, params: Params, batch: PyTree) -> Float[Array, ""]:
        """The mean cost over a batch."""
        return self.cost(self._outputs(params, batch), batch.targets)

    def loss_and_output(self, params: Params, batch: Batch) -> tuple[Float[Array, ""], Output]:
        """The mean cost over a batch, and all that an image network says about it."""
        assert isinstance(self.network, ImageNetwork)
        output = self.network(params, batch.inputs, self.activation or jax.nn.relu)
        return self.cost(output.logits, batch.targets), output

    def _outputs(self, params: Params, batch: Batch) -> Any:
        if isinstance(self.network, ImageNetwork):
            return self.network(params, batch.inputs, self.activation or jax.nn.relu).logits
        return self.network(params, batch.inputs)
