"""Modules of PyTorch, by `torch.func`, for the kernels: outputs, gradients, linearization."""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, in_one_line, some

_AT_A_TIME = 16  # examples whose gradients are held


@dataclass(frozen=True)
class Module:
    """A module at its parameters; see `whytrain.kernels.function.Function`.

    Attributes:
        names: Of the parameters.
        leaves: The parameters.
        outputs: How many outputs an example has.
        values: Of a batch: (example, output).
        along: How the values change along a change of the parameters, of a batch.
        gradients: Of a batch, by parameter: (example, output, number).
    """

    names: tuple[str, ...]
    leaves: list[np.ndarray]
    outputs: int
    values: Callable[[np.ndarray], np.ndarray]
    along: Callable[[list, np.ndarray], np.ndarray]
    gradients: Callable[[np.ndarray], list[np.ndarray]]


def is_module(f: Any) -> bool:
    """Whether it is a module of PyTorch, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(f, torch.nn.Module)


def parameters(f: Any, given: Any) -> dict[str, np.ndarray]:
    """The parameters of a module that are differentiated in, by name.

    Args:
        f: The module.
        given: Some by name, in the place of its own; None for its own that require a gradient.

    Raises:
        UserError: They are not parameters of the module, or there are none.
    """
    own = dict(f.named_parameters())
    if given is None:
        given = {name: leaf for name, leaf in own.items() if leaf.requires_grad}
    if (
        not isinstance(given, Mapping)
        or not given
        or not all(_fits(own, *it) for it in given.items())
    ):
        raise UserError(_refused(own, given))
    return {name: _numbers(name, given[name]) for name in own if name in given}


def held(f: Any, params: Mapping[str, Any]) -> list[str]:
    """What of a module is not among the parameters given, a sentence each."""
    rest = [name for name, _ in f.named_parameters() if name not in params]
    buffers = [name for name, _ in f.named_buffers()]
    said = [f"not differentiated in: {some(rest)}"] if rest else []
    where = "are taken as the module has them now, at the start too"
    return [*said, *([f"buffers ({some(buffers)}) {where}"] if buffers else [])]


def module(f: Any, params: Mapping[str, np.ndarray], x: np.ndarray, dtype: Any) -> Module:
    """Look at a module and some examples. All is computed on the CPU.

    Args:
        f: The module.
        params: Parameters to put in the place of its own, as `parameters` gives them.
        x: The examples.
        dtype: The precision of all computations.

    Raises:
        UserError: It cannot be called, or an example's outputs depend on the others.
    """
    import torch  # pyright: ignore[reportMissingImports]

    kind = torch.float64 if dtype == np.float64 else torch.float32

    def tensor(leaf: Any) -> Any:
        found = leaf.detach().cpu().clone() if torch.is_tensor(leaf) else torch.tensor(leaf)
        return found.to(kind) if found.is_floating_point() else found

    rest = {name: tensor(leaf) for name, leaf in f.named_buffers()}
    rest |= {name: tensor(leaf) for name, leaf in f.named_parameters() if name not in params}
    leaves = {name: tensor(leaf) for name, leaf in params.items()}

    def call(leaves: dict, x: Any) -> Any:
        kept = {name: leaf.clone() for name, leaf in rest.items()}  # a module may write to them
        found = torch.func.functional_call(f, leaves | kept, (x,))
        if not torch.is_tensor(found):
            raise UserError(
                f"the module gives a {type(found).__name__} and no tensor of outputs; give one "
                "that returns the logits alone"
            )
        return found

    def values(x: np.ndarray) -> np.ndarray:
        with torch.no_grad(), _told(x):
            return call(leaves, tensor(x)).reshape(len(x), -1).numpy()

    def single(leaves: dict, x: Any) -> Any:
        return call(leaves, x[None])[0].reshape(-1)

    def gradients(x: np.ndarray) -> list[np.ndarray]:
        with _told(x):
            found = torch.func.vmap(torch.func.jacrev(single), (None, 0))(leaves, tensor(x))
        return [found[name].reshape(len(x), outputs, -1).numpy() for name in leaves]

    def along(step: list, x: np.ndarray) -> np.ndarray:
        """By gradients: not all that modules are made of has a forward mode."""
        flat = [np.ravel(change) for change in step]
        batches = (gradients(x[i : i + _AT_A_TIME]) for i in range(0, len(x), _AT_A_TIME))
        return np.concatenate([sum(map(np.matmul, batch, flat)) for batch in batches])

    few = tensor(x[np.unique([0, len(x) // 2, len(x) - 1])])
    few = torch.cat([few, few[:1] / 2 if few.is_floating_point() else few[:1] // 2])
    outputs = _check_alone(lambda x: call(leaves, x), few)
    return Module(tuple(leaves), list(params.values()), outputs, values, along, gradients)


def _check_alone(call: Callable, few: Any) -> int:
    """Count an example's outputs; refuse those that depend on the batch, or on chance."""
    import torch  # pyright: ignore[reportMissingImports]

    with torch.no_grad(), _told(few):
        together = call(few)
        alone = torch.cat([call(x[None]) for x in few])
    if not torch.isfinite(alone).all():
        raise UserError("the module's outputs are not finite at these inputs")
    if together.shape != alone.shape or len(together) != len(few):
        raise UserError(
            f"a module must give outputs for each example: of {len(few)} together it gives the "
            f"shape {tuple(together.shape)}, of each alone {tuple(alone.shape)}"
        )
    gap = float((together - alone).abs().max())
    if gap > torch.finfo(together.dtype).eps ** 0.5 * float(together.abs().max()):
        raise UserError(
            "an example's outputs depend on the batch it is in, or on chance: there is no tangent "
            f"kernel (they change by {gap:.2g}); call model.eval()"
        )
    return together[0].numel()


def _told(batch: Any) -> AbstractContextManager[None]:
    """Tell in one line what a module, which is called in the block, raises."""
    return in_one_line(
        "the module cannot be called, or torch.func cannot differentiate it, with a batch of shape "
        f"{tuple(batch.shape)}",
        "; in training mode batch normalization needs more than one example: call model.eval()",
    )


def _fits(own: Mapping[str, Any], name: str, leaf: Any) -> bool:
    return name in own and tuple(np.shape(leaf)) == tuple(own[name].shape)


def _refused(own: Mapping[str, Any], given: Any) -> str:
    said = (
        f"parameters of a module ({some(list(own))}) are given by name, as "
        "dict(model.named_parameters())"
    )
    if not isinstance(given, Mapping):
        return f"{said}, got {type(given).__name__}"
    wrong = [str(name) for name, leaf in given.items() if not _fits(own, name, leaf)]
    if not wrong:
        return f"no parameter requires a gradient; {said}"
    return f"{said}, of the module's shapes and without buffers, got {some(wrong)}"


def _numbers(name: str, leaf: Any) -> np.ndarray:
    double = str(getattr(leaf, "dtype", "")).endswith("float64")
    return as_float64(leaf, name).astype(np.float64 if double else np.float32)
