"""Gradients of PyTorch modules, by `torch.func`, for the kernels."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import words


@dataclass(frozen=True)
class Module:
    """A module at its parameters.

    Attributes:
        names: Of the parameters.
        sizes: How many numbers each has.
        dtype: Of the parameters.
        outputs: How many outputs an example has.
        gradients: Of a batch, by parameter: (example, output, number).
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    dtype: Any
    outputs: int
    gradients: Callable[[np.ndarray], list[np.ndarray]]


def is_module(f: Any) -> bool:
    """Whether it is a module of PyTorch, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(f, torch.nn.Module)


def module(f: Any, params: Any, x: np.ndarray) -> Module:
    """Look at a module and some examples.

    Args:
        f: The module, on a CPU.
        params: Parameters to put in the place of its own, by name; None for its own.
        x: The examples.

    Raises:
        UserError: It cannot be called, or an example's outputs depend on the others.
    """
    import torch

    own = dict(f.named_parameters())
    if params is not None and set(params) != set(own):
        raise UserError(
            f"params of a module are its parameters by name, {', '.join(own)}; give None for its "
            "own"
        )
    held = {name: torch.as_tensor(leaf).detach() for name, leaf in (params or own).items()}
    buffers = {name: leaf.detach().clone() for name, leaf in f.named_buffers()}
    kind = next(iter(held.values())).dtype

    def tensor(x: np.ndarray) -> Any:
        found = torch.from_numpy(np.array(x))
        return found.to(kind) if found.is_floating_point() else found

    def single(params: dict, x: Any) -> Any:
        return torch.func.functional_call(f, (params, buffers), (x[None],))[0].reshape(-1)

    few = tensor(x[np.unique([0, len(x) // 2, len(x) - 1])])
    few = torch.cat([few, few[:1] / 2 if few.is_floating_point() else few[:1] // 2])
    _check_alone(f, held, buffers, few)

    def gradients(x: np.ndarray) -> list[np.ndarray]:
        found = torch.func.vmap(torch.func.jacrev(single), (None, 0))(held, tensor(x))
        return [leaf.flatten(2).numpy() for leaf in found.values()]

    return Module(
        names=tuple(held),
        sizes=tuple(leaf.numel() for leaf in held.values()),
        dtype=np.float64 if kind == torch.float64 else np.float32,
        outputs=single(held, few[0]).numel(),
        gradients=gradients,
    )


def _check_alone(f: Any, params: dict, buffers: dict, few: Any) -> None:
    """Refuse outputs that depend on the other examples of a batch, or on chance."""
    import torch

    def call(x: Any) -> Any:
        kept = {name: leaf.clone() for name, leaf in buffers.items()}
        return torch.func.functional_call(f, (params, kept), (x,))

    try:
        with torch.no_grad():
            together = call(few)
            alone = torch.cat([call(x[None]) for x in few])
    except Exception as error:  # whatever the user's code or PyTorch makes of it
        raise UserError(
            f"the module cannot be called with a batch of shape {tuple(few.shape)}: "
            f"{type(error).__name__}: {words(error)}; in training mode batch normalization needs "
            "more than one example: call model.eval()"
        ) from error
    if not torch.isfinite(alone).all():
        raise UserError("the module's outputs are not finite at these inputs")
    gap = float((together - alone).abs().max())
    if gap > 1e-3 * float(together.abs().max()):
        raise UserError(
            "an example's outputs depend on the batch it is in, or on chance: there is no tangent "
            f"kernel (they change by {gap:.2g}); call model.eval()"
        )
