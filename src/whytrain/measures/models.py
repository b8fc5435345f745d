"""A network as its framework has it, read layer by layer and held against its own outputs."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import a, as_float64
from whytrain.measures.chains import Chain, no_place
from whytrain.measures.estimators import is_estimator, read_estimator
from whytrain.measures.modules import read_torch
from whytrain.measures.network import Dense, Network
from whytrain.measures.network import outputs as outputs_of
from whytrain.measures.sample import Examples
from whytrain.measures.sources import COMPARED, Expected, agrees, called, caller, expected
from whytrain.measures.stages import (
    Activation,
    Reshape,
    Residual,
    Scale,
    TwoLogits,
    folded,
    is_layer,
    words_of,
)
from whytrain.measures.traced import read_jax

_TAKEN = (
    "a PyTorch module, an Equinox or NNX module, a Linen module with its variables (module, "
    "variables), a function of a batch in JAX, or a fitted network or linear classifier of "
    "scikit-learn, alone or after scalers in a Pipeline"
)


@dataclass(frozen=True, repr=False)
class Model(Network):
    """A network that was read from a model; `layers` are all its stages, in their order.

    Attributes:
        compared: On how many inputs its outputs were those of the model.
        parameters: How many numbers the model trains; tied ones count once, statistics not at all,
            nor does what PyTorch has frozen, unless all is.
    """

    compared: int = 0
    parameters: int = 0

    def __call__(self, x: Any) -> np.ndarray:
        """The logits of a batch, in float64."""
        return outputs_of(self.layers, as_float64(x, "the inputs"))

    def __repr__(self) -> str:
        return (
            f"Model({', '.join(words_of(self.layers))}; {self.parameters} parameters, the model's "
            f"outputs on {self.compared} inputs)"
        )


def network(model: Any, example: Any) -> Model:
    """Read a network from a model: its layers, what stands between them, and how they are joined.

    Dense layers and two-dimensional convolutions with their strides, paddings, dilations and
    groups; batch normalization in evaluation mode, folded into the layer beside it; activations,
    by their names or by their values; maximum and average pooling; sums of two branches. Whatever
    else there is is refused by name. What was read is then held against the model itself, on the
    examples and on as many random inputs like them, and refused where it is off by more than 1e-4
    of the largest output: no network is measured that is not yours.

    Args:
        model: A PyTorch module, an Equinox or NNX module, a pair of a Linen module and its
            variables, a fitted perceptron or linear classifier of scikit-learn, alone or in a
            `Pipeline` after scalers, or any function of a batch in JAX, such as
            `lambda x: module.apply(variables, x, train=False)`.
        example: Some inputs, as the model takes them; the first axis counts them.

    Returns:
        The network, which `deep` takes in place of layers. A model with one output is read as one
        with the logits 0 and `f`.

    Raises:
        UserError: Something in the model is not measured, or what was read is not the model.

    Example:
        >>> import equinox as eqx
        >>> mlp = eqx.nn.MLP(3, 2, 4, 1, jax.nn.gelu, key=jax.random.key(0))
        >>> network(mlp, np.ones((5, 3)))
        Model(Dense 3-4, gelu_tanh, Dense 4-2; 26 parameters, the model's outputs on 10 inputs)
    """
    x = as_float64(example, "the example")[:COMPARED]
    if x.ndim < 2 or not len(x) or not (np.abs(x) < np.finfo(np.float32).max).all():
        raise UserError(
            "the example must be some inputs, finite numbers whose first axis counts them, got "
            f"shape {x.shape}{'' if np.isfinite(x).all() else ' with NaN or infinite numbers'}"
        )
    chain, call, parameters = _read(model, (1, *x.shape[1:]))
    if chain.shape == ():  # one output without an axis of its own
        chain = chain.shaped((1,))
    stages = [Reshape(x.shape[1:]), *_tidy(folded(chain.stages))]
    _check_stages(stages)
    probes = np.concatenate([x, _like(x)]).astype(np.float32)
    said = expected(lambda given: _outputs(call, given), None, probes)
    assert said is not None
    _check(stages, probes.astype(np.float64), said)
    notes = []
    if said.outputs.shape[1:] == (1,):
        stages, notes = _two_logits(stages), ["one output f is read as the logits 0 and f"]
    hint = Examples(x, iter(())).hint()
    count = parameters or sum(
        np.size(leaf)
        for layer in _all(stages)
        if is_layer(layer)
        for leaf in jax.tree.leaves(layer)
    )
    names = tuple(str(i) for i, _ in enumerate(stages))
    return Model(tuple(stages), names, (*notes, *([hint] if hint else [])), len(probes), count)


def is_model(given: Any) -> bool:
    """Whether something is a model that `network` may read, and not weights, layers or a file."""
    if isinstance(given, Network | type | Mapping):
        return False
    pair = isinstance(given, tuple | list) and len(given) == 2 and hasattr(given[0], "apply")
    return callable(given) or is_estimator(given) or pair


def _check_stages(stages: Sequence) -> None:
    """Refuse what no layer has taken in, and weights that are no numbers."""
    for stage in _all(stages):
        if isinstance(stage, Scale):
            raise no_place(
                "a normalization or a factor that no layer beside it can take in (the next one is "
                "a convolution with zeros around it, a pooling or a sum)"
            )
        if is_layer(stage) and not all(np.isfinite(x).all() for x in jax.tree.leaves(stage)):
            raise UserError(
                f"the weights of {words_of([stage])[0]} hold numbers that are not finite; did "
                "training diverge?"
            )


def _read(model: Any, shape: tuple[int, ...]) -> tuple[Chain, Callable, int]:
    """What a model does, the model as a function of a batch, and how many parameters it has."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        return _torch(torch, model, shape)
    if is_estimator(model) and not isinstance(model, type):
        return read_estimator(model, shape[1:])
    if isinstance(model, eqx.Module) and callable(model):
        still: Any = eqx.nn.inference_mode(model)
        how = f"one example of shape {shape[1:]}, as Equinox has it,"
        chain, _ = _traced(lambda x: still(x.reshape(x.shape[1:]))[None], shape, how)
        return chain, _called(model), _numbers(model)
    if hasattr(model, "init") and hasattr(model, "apply") and getattr(model, "scope", 0) is None:
        raise UserError("a Linen module stands with its variables, as (module, variables)")
    pair = isinstance(model, tuple | list) and len(model) == 2 and hasattr(model[0], "apply")
    if pair:
        given: Any = model
        module, variables = given
        count = _numbers(variables.get("params", variables))
        return (*_traced(lambda x: module.apply(variables, x), shape), count)
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(model, nnx.Module):
        model = nnx.clone(model)
        model.eval()
        return (*_traced(model, shape), _numbers(nnx.state(model, nnx.Param)))
    if isinstance(model, type) or not callable(model):
        raise UserError(f"a network is read from {_TAKEN}; got {a(model)}")
    return (*_traced(model, shape), 0)


def _torch(torch: Any, model: Any, shape: tuple[int, ...]) -> tuple[Chain, Callable, int]:
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    if isinstance(model, torch.nn.DataParallel):
        model = model.module
    call = _called(model)
    with contextlib.suppress(UserError):  # told later, if reading does not know a better reason
        called(call, np.zeros(shape, np.float32))  # lazy layers get weights, hooks renew theirs
    return (
        read_torch(torch, model, shape),
        call,
        sum(p.numel() for p in model.parameters() if p.requires_grad),
    )


def _called(model: Any) -> Callable:
    found = caller(model)
    assert found is not None
    return found


def _traced(call: Callable, shape: tuple[int, ...], how: str = "") -> tuple[Chain, Callable]:
    try:
        return read_jax(call, shape), call
    except UserError:
        raise
    except Exception as error:  # the user's own model may fail in any way
        words = " ".join(str(error).split())[:200]
        raise UserError(
            f"the model cannot be called on {how or f'a batch of shape {shape}'} in JAX "
            f"({type(error).__name__}: {words}); give a function of a batch in evaluation mode"
        ) from error


def _numbers(tree: Any) -> int:
    """How many numbers of floating point there are; an array that is there twice counts once."""
    leaves = {id(leaf): leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")}
    floating = (np.size(x) for x in leaves.values() if jnp.issubdtype(x.dtype, jnp.floating))
    return sum(floating)


def _outputs(call: Callable, x: Any) -> Any:
    """One row an example, in the precision of the model, which decides how near is near."""
    found = call(x)
    flat = not hasattr(found, "shape") or len(found.shape) == 2
    return found if flat else found.reshape(len(x), -1)


def _tidy(stages: Sequence) -> list:
    """Without changes of shape that the next one undoes."""
    found: list = []
    for stage in stages:
        if isinstance(stage, Residual):
            stage = Residual(tuple(_tidy(stage.body)), tuple(_tidy(stage.shortcut)))
        if isinstance(stage, Reshape | Dense) and found and isinstance(found[-1], Reshape):
            found.pop()
        if not (isinstance(stage, Activation) and stage.name == "identity"):
            found.append(stage)
    return found


def _all(stages: Sequence) -> Iterator[Any]:
    for stage in stages:
        if isinstance(stage, Residual):
            yield from _all((*stage.body, *stage.shortcut))
        else:
            yield stage


def _like(x: np.ndarray) -> np.ndarray:
    """Random inputs of the same mean and spread, which no accident of the examples fits."""
    spread = float(x.std()) or 1.0
    return x.mean() + spread * np.random.default_rng(0).standard_normal(x.shape)


def _check(stages: Sequence, x: np.ndarray, said: Expected) -> None:
    found = outputs_of(stages, x)
    if said.outputs.shape[1] > 1 and agrees(stages, x, said):
        return  # up to what all logits of an example share
    if said.outputs.shape[1] == 1 and _near(found, said.outputs, said.tolerance):
        return
    far = np.abs(found - said.outputs).max() if found.shape == said.outputs.shape else np.inf
    raise UserError(
        f"what was read of the model, {', '.join(words_of(stages))}, is not the model: outputs "
        f"differ by up to {far:.2g}; is it in evaluation mode, and does it give the same for the "
        "same inputs?"
    )


def _near(found: np.ndarray, said: np.ndarray, tolerance: float) -> bool:
    return found.shape == said.shape and bool(
        np.abs(found - said).max() <= tolerance * np.abs(said).max()
    )


def _two_logits(stages: list) -> list:
    while isinstance(stages[-1], Reshape):  # one output with an axis of its own, or without
        stages = stages[:-1]
    last = stages[-1]
    if not isinstance(last, Dense):
        raise UserError(
            f"the model has one output and ends in {words_of(stages)[-1]}; a classifier ends in a "
            "dense layer, give its logits"
        )
    return [*stages, TwoLogits()]
