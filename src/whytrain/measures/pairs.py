"""A network before and after training, read alike, and held against the model's outputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, plain, shown
from whytrain.measures.building import Hints, Plan, build
from whytrain.measures.entries import Parts, check_ignored
from whytrain.measures.network import Dense, Layer, Network, TwoLayerWeights
from whytrain.measures.reading import choose, used
from whytrain.measures.sources import Source, agrees, differs, expected, source
from whytrain.measures.stages import Activation, biased, layers_of, stages_between, words_of

NOT_CHECKED = (
    "not checked against the model: weights say nothing of activations, skip connections or "
    "pooling, and rectifiers between the layers are supposed; give outputs= (logits of some "
    "examples, or the model itself)"
)
INITIAL, TRAINED = "the initial checkpoint", "the trained checkpoint"


@dataclass(frozen=True)
class Pair:
    """Two states of one network.

    Attributes:
        initial: Before training.
        trained: After it.
        compared: On how many examples the outputs of `trained` are those of the model; 0 if it was
            not checked.
        parameters: How many numbers the model trains, where it has told; else 0.
    """

    initial: Network
    trained: Network
    compared: int
    parameters: int = 0

    def notes(self) -> list[str]:
        """What was supposed, and whether it was checked."""
        return [*self.trained.notes, *([] if self.compared else [NOT_CHECKED])]


def read_pair(
    initial: Any,
    trained: Any,
    first: Any,
    outputs: Any,
    hints: Hints,
    ignore: Sequence[str] = (),
    *,
    flat: bool = False,
) -> Pair:
    """Read both states by one plan, and compare outputs where there are some."""
    before, last = _opened(initial, INITIAL), _opened(trained, TRAINED)
    check_ignored(ignore, *(one for one in (before, last) if isinstance(one, Source)))
    x = _examples(first, flat)
    said = expected(outputs, last if isinstance(last, Source) else None, first)
    if said is not None and len(said.outputs) > len(x):
        raise UserError(
            f"there are {len(said.outputs)} outputs for {len(x)} examples; outputs are those of "
            "the first examples, in their order"
        )
    if isinstance(last, Network):
        if said is not None and not agrees(last.layers, x, said):
            raise differs(last.layers, x, said)
        network, plan, found = last, None, None
    else:
        found = used(last, TRAINED, ignore, hints, flat=flat)
        plan = choose(found, x.shape[1:], hints, x, said)
        network = build(found, plan, hints)
    started = _initial(before, ignore, hints, (found, plan), flat)
    compared = getattr(last, "compared", 0) if said is None else len(said.outputs)
    before = replace(started, layers=biased(started.layers, network.layers))
    after = replace(network, layers=biased(network.layers, started.layers))
    return Pair(before, after, compared, getattr(last, "parameters", 0))


def _examples(first: Any, flat: bool) -> np.ndarray:
    x = as_float64(first, "the inputs")
    if x.ndim < 1:
        raise UserError("the inputs must be an array whose first axis counts the examples")
    return x.reshape(len(x), -1) if flat and x.size else x


def _initial(
    opened: Network | Source,
    ignore: Sequence[str],
    hints: Hints,
    like: tuple[Parts | None, Plan | None],
    flat: bool,
) -> Network:
    """The initial network: by the plan of the trained one where it has the same names."""
    if isinstance(opened, Network):
        return opened
    found, (trained, plan) = used(opened, INITIAL, ignore, hints, flat=flat), like
    if trained is not None and plan is not None and _same_names(found, trained):
        _check_biases(found, trained)
        return build(found, plan, hints)
    return build(found, choose(found, None, Hints(), None, None), Hints())


def _check_biases(initial: Parts, trained: Parts) -> None:
    """Refuse a bias that one checkpoint has and the other lacks: it would count as zero."""
    for name, before in initial.layers.items():
        biases = before.bias, trained.layers[name].bias
        if (biases[0] is None) != (biases[1] is None):
            [bias] = [one for one in biases if one is not None]
            has, lacks = (INITIAL, TRAINED) if biases[0] is not None else (TRAINED, INITIAL)
            raise UserError(
                f"{has} has {plain(bias.name)!r} and {lacks} has not: was it lost? Biases of 0 "
                "must be there as zeros"
            )


def _same_names(one: Parts, other: Parts) -> bool:
    return set(one.layers) == set(other.layers) and set(one.norms) == set(other.norms)


def _opened(given: Any, of: str) -> Network | Source:
    """A sequence of layers as a network, all numbers finite; anything else as it is."""
    if isinstance(given, Network):
        return given
    if isinstance(given, TwoLayerWeights):
        return given.network(of)
    if not (isinstance(given, list | tuple) and given and isinstance(given[0], Layer)):
        return source(given, of)
    for i, layer in enumerate(given):
        if not isinstance(layer, Layer):
            raise UserError(f"{of}: layer {i} is a {type(layer).__name__}, and no layer")
        shape, axes = np.shape(layer.weight), 2 if isinstance(layer, Dense) else 4
        if len(shape) != axes:
            raise UserError(
                f"{of}: the weight of layer {i} must have {axes} axes, got shape {shape}"
            )
        for what in ("weight", "bias"):
            array = getattr(layer, what)
            if array is not None and not np.isfinite(as_float64(array, f"{of}: {what}")).all():
                raise UserError(
                    f"{of}: the {what} of layer {i} holds numbers that are not finite; did "
                    "training diverge?"
                )
    return Network(tuple(given), tuple(map(str, range(len(given)))))


def check_same(pair: Pair) -> None:
    """Refuse two states of different networks."""
    read = [net.layers for net in (pair.initial, pair.trained) if hasattr(net, "compared")]
    kinds = [[str(act.name) for act in stages_between(net) if isinstance(act, Activation)]
             for net in read]  # fmt: skip
    if len(read) == 2 and kinds[0] != kinds[1]:
        raise UserError(
            "initial and trained must be of one network; got "
            f"{' and '.join(', '.join(words_of(net)) for net in read)}"
        )
    shapes = [
        [np.shape(layer.weight) for layer, _, _ in layers_of(net.layers)]
        for net in (pair.initial, pair.trained)
    ]
    if shapes[0] != shapes[1]:
        raise UserError(
            "initial and trained must be the layers of one network, of the same shapes; got "
            f"{shown(map(str, shapes[0]))} and {shown(map(str, shapes[1]))}"
        )
