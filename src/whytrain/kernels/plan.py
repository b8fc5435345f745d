"""Which way to the kernel is cheap, and fits: counted before anything is computed."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from whytrain.errors import UserError
from whytrain.kernels.program import Program

METHODS = ("structured", "jacobian", "products")
_SIDE = 512  # rows of a block: a smaller one wastes calls, a larger one its symmetric half
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


@dataclass(frozen=True)
class Plan:
    """How a tangent kernel is computed, and why so.

    Attributes:
        method: `"structured"`, `"jacobian"` or `"products"`.
        points: Examples in a block.
        memory: Bytes that are needed, as estimated.
        operations: Floating-point operations of each method, as estimated.
        how: For each parameter, by name, what is done.
        notes: What a reader should know, a sentence each.
    """

    method: str
    points: int
    memory: int
    operations: dict[str, float]
    how: dict[str, str]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        costs = ", ".join(f"{name} {count:.2g}" for name, count in self.operations.items())
        lines = [
            f"{self.method}, {self.points} examples a block, {in_words(self.memory)}",
            f"operations: {costs}",
            *(f"{name}: {what}" for name, what in self.how.items()),
            *self.notes,
        ]
        return "\n".join(lines)


def bytes_of(memory: Any) -> int:
    """A number of bytes, or words for one.

    Raises:
        UserError: It is neither.

    Example:
        >>> bytes_of("1GiB"), bytes_of("1.5 MB"), bytes_of(4096)
        (1073741824, 1500000, 4096)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMG]?I?)B?\s*", str(memory).upper())
    try:
        count = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    except (ValueError, KeyError):
        count = 0
    if count < 1 or isinstance(memory, bool):
        raise UserError(f"memory must be bytes, such as '1GiB' or 1073741824, got {memory!r}")
    return count


def in_words(count: float) -> str:
    """A number of bytes as a reader takes it in.

    Example:
        >>> in_words(300), in_words(1536), in_words(2**31)
        ('300 B', '1.5 KiB', '2048.0 MiB')
    """
    if count < 2**10:
        return f"{count:.0f} B"
    return f"{count / 2**10:.1f} KiB" if count < 2**20 else f"{count / 2**20:.1f} MiB"


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        rows: Examples of the first batch.
        columns: Of the second.
        same: Whether both are one, so that half of the blocks will do.
        outputs: `"full"`, `"trace"` or `"diagonal"`.
        by_layer: Whether each parameter's contribution is wanted.
        memory: Bytes that may be used beside the result.
        itemsize: Bytes of a number.
    """

    rows: int
    columns: int
    same: bool
    outputs: str
    by_layer: bool
    memory: int
    itemsize: int


class Cost(NamedTuple):
    """What a method takes: operations, and bytes for a block of so many examples."""

    operations: float
    need: Callable[[int], float]


def choose(
    method: str, layered: Program, dense: Program, names: Sequence[str], want: Wanted
) -> Plan:
    """The cheapest method that fits, or the one asked for.

    Args:
        method: One of `METHODS`, or `"auto"`.
        layered: The program that looks for layers.
        dense: The one that goes through the Jacobian.
        names: Of the parameters.
        want: What is asked for.

    Raises:
        UserError: There is no such method, or no block of one example fits the memory.
    """
    if method not in (*METHODS, "auto"):
        raise UserError(f"method must be 'auto' or one of {', '.join(METHODS)}, got {method!r}")
    if method == "products" and want.by_layer:
        raise UserError("contributions by layer need method='structured' or 'jacobian'")
    costs = {
        "structured": _by_signals(layered, want),
        "jacobian": _by_signals(dense, want),
        "products": _by_products(dense, want),
    }
    points = {name: _points(cost, dense.outputs, want) for name, cost in costs.items()}
    able = [name for name in METHODS[: 2 if want.by_layer else 3] if points[name]]
    chosen = method
    if method == "auto":
        chosen = min(able, key=lambda name: costs[name].operations, default="products")
    if not points[chosen]:
        raise UserError(
            f"method {chosen!r} needs {in_words(costs[chosen].need(1))} for one example, and "
            f"memory= leaves {in_words(want.memory)} beside the result; raise it"
        )
    return Plan(
        method=chosen,
        points=points[chosen],
        memory=int(costs[chosen].need(points[chosen])),
        operations={name: cost.operations for name, cost in costs.items()},
        how=dict(zip(names, _how(chosen, layered), strict=True)),
    )


def choose_jacobian(names: Sequence[str], parameters: int, outputs: int, want: Wanted) -> Plan:
    """The plan where there is no other way than the Jacobian.

    Raises:
        UserError: The gradients of one example do not fit the memory.
    """

    def need(points: int) -> float:
        # Gradients of two batches, and one more copy while they are made.
        return want.itemsize * (3 * points * outputs * parameters + 4 * (points * outputs) ** 2)

    pairs = outputs ** (2 if want.outputs == "full" else 1)
    cost = Cost(2.0 * want.rows * want.columns * pairs * parameters, need)
    points = _points(cost, outputs, want)
    if not points:
        raise UserError(
            f"the gradients of one example need {in_words(need(1))}, and memory= leaves "
            f"{in_words(want.memory)} beside the result; raise it"
        )
    how = dict.fromkeys(names, "Jacobian")
    return Plan("jacobian", points, int(need(points)), {"jacobian": cost.operations}, how)


def _by_signals(program: Program, want: Wanted) -> Cost:
    outputs, pairs = program.outputs, program.outputs ** (2 if want.outputs == "full" else 1)
    kept, each, pair = program.kept, program.passing, _pair(program, pairs)
    width = outputs if want.outputs == "full" else math.sqrt(outputs)
    parts = len(program.shapes) if want.by_layer else 1

    def need(points: int) -> float:
        numbers = 3 * points * kept + (2 + 2 * parts) * (points * width) ** 2
        return want.itemsize * numbers + min(points, program.together) * program.held

    computed = want.rows * want.columns / (2 if want.same else 1)
    once = (want.rows + want.columns) * each.operations * (1 + 2 * outputs)
    return Cost(once + computed * 2 * pair, need)


def _by_products(program: Program, want: Wanted) -> Cost:
    each, parameters = program.passing, sum(map(math.prod, program.shapes))

    def need(points: int) -> float:
        return want.itemsize * (3 * points * each.size + 3 * parameters)

    columns = want.columns * program.outputs
    return Cost(columns * (want.rows + 1) * 3 * each.operations, need)


def _points(cost: Cost, outputs: int, want: Wanted) -> int:
    """Examples in a block that fits, as large as is useful; 0 if one alone does not."""
    side = _SIDE // outputs if want.outputs == "full" else _SIDE
    longest = max(want.rows, want.columns)
    points = min(max(side, 1), longest)
    while points and cost.need(points) > want.memory:
        points //= 2
    return points and math.ceil(longest / math.ceil(longest / points))  # blocks of one size


def _pair(program: Program, pairs: int) -> int:
    """Products of two numbers for each pair of examples."""
    sizes = [math.prod(shape) for shape in program.shapes]
    found = pairs * sum(sizes[leaf] for leaf in program.rest)
    for group in program.groups:
        size, out = sizes[program.uses[group[0]].leaf], program.places[group[0]][2]
        found += size // out + pairs * out if program.single(group) else pairs * size
    return found


def _how(method: str, program: Program) -> list[str]:
    """What is done with each parameter, in words."""
    if method != "structured":
        what = {"jacobian": "Jacobian", "products": "products with gradients"}[method]
        return [what] * len(program.shapes)
    words = ["not used"] * len(program.shapes)
    for leaf in program.rest:
        words[leaf] = "Jacobian"
    for group in program.groups:
        use = program.uses[group[0]]
        places = sum(program.places[i][0] for i in group)
        single = "inputs times signals"
        words[use.leaf] = single if program.single(group) else f"gradient over {places} places"
    return words
