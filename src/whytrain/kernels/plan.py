"""Which way to the kernel is cheap, and fits: counted before anything is computed."""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from whytrain.errors import UserError
from whytrain.kernels.program import Program

METHODS = ("structured", "jacobian", "products")
_SLOWER = {"structured": 1.0, "jacobian": 1.2, "products": 1.0}  # seconds an operation, relative
_SIDE = 512  # rows of a block: a smaller one wastes calls, a larger one its symmetric half
_LEAST = 64  # rows, below which a product of matrices takes longer than signals made once more
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


@dataclass(frozen=True)
class Plan:
    """How a tangent kernel is computed, and why so.

    Attributes:
        method: `"structured"`, `"jacobian"` or `"products"`.
        points: Examples in a block.
        keep: Whether what is made of all columns is kept, or made again for each row of blocks.
        memory: Bytes that are needed, as estimated.
        operations: Floating-point operations of each method, as estimated.
        how: For each parameter, by name, what is done.
        notes: What a reader should know, a sentence each.
    """

    method: str
    points: int
    keep: bool
    memory: int
    operations: dict[str, float]
    how: dict[str, str]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        costs = ", ".join(f"{name} {count:.2g}" for name, count in self.operations.items())
        again = "" if self.keep else ", signals made again for each"
        lines = [
            f"{self.method}, {self.points} examples a block{again}, {in_words(self.memory)}",
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
    """What a method takes: operations, and bytes for a block of so many examples.

    The bytes depend on whether the signals of all columns are kept, too.
    """

    operations: float
    need: Callable[[int, bool], float]


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
    blocks = {name: _blocks(cost, dense.outputs, want) for name, cost in costs.items()}
    able = [name for name in METHODS[: 2 if want.by_layer else 3] if blocks[name][0]]
    chosen = method
    if method == "auto":
        seconds = {name: costs[name].operations * _SLOWER[name] for name in able}
        chosen = min(able, key=seconds.__getitem__, default="products")
    points, keep = blocks[chosen]
    if not points:
        raise UserError(
            f"method {chosen!r} needs {in_words(costs[chosen].need(1, False))} for one example, "
            f"and memory= leaves {in_words(want.memory)} beside the result; raise it"
        )
    return Plan(
        method=chosen,
        points=points,
        keep=keep,
        memory=int(costs[chosen].need(points, keep)),
        operations={name: cost.operations for name, cost in costs.items()},
        how=dict(zip(names, _how(chosen, layered), strict=True)),
    )


def choose_jacobian(names: Sequence[str], parameters: int, outputs: int, want: Wanted) -> Plan:
    """The plan where there is no other way than the Jacobian.

    Raises:
        UserError: The gradients of one example do not fit the memory.
    """

    def need(points: int, keep: bool) -> float:
        made = _made(points, keep, want) * outputs * parameters
        return want.itemsize * (made + 4 * (points * outputs) ** 2)

    pairs = outputs ** (2 if want.outputs == "full" else 1)
    cost = Cost(2.0 * want.rows * want.columns * pairs * parameters, need)
    points, keep = _blocks(cost, outputs, want)
    if not points:
        raise UserError(
            f"the gradients of one example need {in_words(need(1, False))}, and memory= leaves "
            f"{in_words(want.memory)} beside the result; raise it"
        )
    how = dict.fromkeys(names, "Jacobian")
    operations = {"jacobian": cost.operations}
    return Plan("jacobian", points, keep, int(need(points, keep)), operations, how)


def _by_signals(program: Program, want: Wanted) -> Cost:
    outputs, pairs = program.outputs, program.outputs ** (2 if want.outputs == "full" else 1)
    kept, each, pair = program.kept, program.passing, _pair(program, pairs)
    width = outputs if want.outputs == "full" else math.sqrt(outputs)
    parts = len(program.shapes) if want.by_layer else 1

    def need(points: int, keep: bool) -> float:
        made = _made(points, keep, want) * kept
        numbers = made + (2 + 2 * parts) * (points * width) ** 2
        return want.itemsize * numbers + min(points, program.together) * program.held

    computed = want.rows * want.columns / (2 if want.same else 1)
    once = (want.rows + want.columns) * each.operations * (1 + 2 * outputs)
    return Cost(once + computed * 2 * pair, need)


def _by_products(program: Program, want: Wanted) -> Cost:
    each, parameters = program.passing, sum(map(math.prod, program.shapes))

    def need(points: int, _: bool) -> float:
        return want.itemsize * (3 * points * each.size + 3 * parameters)

    columns = want.columns * program.outputs
    return Cost(columns * (want.rows + 1) * 3 * each.operations, need)


def _made(points: int, keep: bool, want: Wanted) -> int:
    """Examples whose signals are held at a time, with a copy of a block while it is made."""
    if not keep:
        return 3 * points
    filled = math.ceil(want.columns / points) * points
    return filled + (1 if want.same else 2) * points


def _blocks(cost: Cost, outputs: int, want: Wanted) -> tuple[int, bool]:
    """Examples in a block that fits, as large as is useful, 0 if one alone does not; and `keep`."""
    wide = outputs if want.outputs == "full" else 1
    longest = max(want.rows, want.columns)
    useful = range(1, min(max(_SIDE // wide, 1), longest) + 1)
    kept, free = (
        bisect_right(useful, want.memory, key=lambda size, keep=keep: cost.need(size, keep))
        for keep in (True, False)
    )
    points = kept if kept * wide >= _LEAST else max(kept, free)
    if not points:
        return 0, False
    points = math.ceil(longest / math.ceil(longest / points))  # blocks of one size
    return points, cost.need(points, True) <= want.memory


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
