"""The small faults that can be planted in a module: each changes one token, or swaps two arguments.

Operators are exchanged, signs and roots dropped, comparisons turned or shifted, whole numbers moved
by one and others by 2 %, functions exchanged, conditions and truth values negated, neighboring
arguments swapped. Docstrings, annotations, messages, decorators, abstract methods and what only
type checkers read stay; so do planted faults, which may be of any size that is refused, and what is
drawn: a picture is looked at.
"""

import ast
import io
import itertools
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass

OPERATORS = {
    "+": "-", "-": "+", "*": "/", "/": "*", "**": "*", "//": "/", "%": "*", "&": "|", "|": "&",
    "and": "or", "or": "and",
}  # fmt: skip
IN_PLACE = {f"{old}=": f"{new}=" for old, new in OPERATORS.items()}
SIGNS = {"-": "", "~": "", "not": ""}
COMPARISONS = {
    "<": (">", "<="), "<=": (">=", "<"), ">": ("<", ">="), ">=": ("<=", ">"),
    "==": ("!=",), "!=": ("==",), "in": ("not in",), "is": ("is not",), "not": ("",),
}  # fmt: skip
_PAIRS = (
    "sin cos", "sinh cosh", "arcsin arccos", "min max", "minimum maximum", "argmin argmax",
    "mean sum", "any all", "floor ceil", "zeros ones", "zeros_like ones_like", "log log1p",
    "exp expm1", "logical_and logical_or", "cumsum cumprod",
)  # fmt: skip
FUNCTIONS = dict(itertools.chain(*((p.split(), p.split()[::-1]) for p in _PAIRS)))
DROPPED = ("sqrt", "abs")
SYMMETRIC = (
    "min", "max", "minimum", "maximum", "hypot", "isclose", "allclose", "logical_and",
    "logical_or", "isinstance",
)  # fmt: skip
DECLARATIONS = ("static", "frozen")

Place = tuple[int, int]  # line, from 1, and column, from 0


@dataclass(frozen=True, order=True)
class Mutation:
    """One change on one line of a module."""

    module: str  # "gaussian/relu.py"
    line: int
    start: int
    stop: int
    new: str
    before: str  # the whole line

    @property
    def after(self) -> str:
        """What the line becomes."""
        return self.before[: self.start] + self.new + self.before[self.stop :]

    def __str__(self) -> str:
        """Where it is, and the change in its surroundings."""
        left, old = self.before[: self.start][-30:], self.before[self.start : self.stop]
        change = f"{left}⟦{old} → {self.new}⟧{self.before[self.stop :][:20]}"
        return f"{self.module}:{self.line}  {change.strip()}"

    def applied(self, source: str) -> str:
        """The module with the change in it."""
        lines = source.splitlines(keepends=True)
        if lines[self.line - 1].rstrip("\n") != self.before:
            raise ValueError(f"{self.module} was edited meanwhile")
        lines[self.line - 1] = self.after + "\n"
        return "".join(lines)


def mutations(module: str, source: str) -> list[Mutation]:
    """All changes of a module, in order."""
    finder, lines = _Finder(source), source.splitlines()
    found = {Mutation(module, *site, lines[site[0] - 1]) for site in finder.found}
    return sorted(one for one in found if one.after != one.before)


class _Finder(ast.NodeVisitor):
    """Collects `(line, start, stop, new)` of every change."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines()
        self.tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        self.found: list[tuple[int, int, int, str]] = []
        self.visit(ast.parse(source))

    def start(self, node: ast.AST) -> Place:
        return self._place(node.lineno, node.col_offset)

    def stop(self, node: ast.AST) -> Place:
        return self._place(node.end_lineno, node.end_col_offset)

    def _place(self, line: int, offset: int) -> Place:
        # The syntax tree counts bytes.
        return line, len(self.lines[line - 1].encode()[:offset].decode())

    def replace(self, start: Place, stop: Place, new: str) -> None:
        """A change, if it is on one line."""
        if start[0] == stop[0]:
            self.found.append((start[0], start[1], stop[1], new))

    def exchange(self, start: Place, stop: Place, table: Mapping) -> None:
        """Exchange the first token between two places that the table has."""
        for token in self.tokens:
            if start <= token.start and token.end <= stop and token.string in table:
                new = table[token.string]
                for text in (new,) if isinstance(new, str) else new:
                    self.replace(token.start, token.end, text)
                return

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.exchange(self.stop(node.left), self.start(node.right), OPERATORS)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.exchange(self.stop(node.target), self.start(node.value), IN_PLACE)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in itertools.pairwise(node.values):
            self.exchange(self.stop(left), self.start(right), OPERATORS)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        parts = itertools.pairwise([node.left, *node.comparators])
        for (left, right), operator in zip(parts, node.ops, strict=True):
            table = SIGNS if isinstance(operator, ast.IsNot | ast.NotIn) else COMPARISONS
            self.exchange(self.stop(left), self.start(right), table)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.exchange(self.start(node), self.start(node.operand), SIGNS)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(self.start(node), self.stop(node), str(not node.value))
        elif isinstance(node.value, int):
            self.replace(self.start(node), self.stop(node), str(node.value + 1))
        elif isinstance(node.value, float):
            near = 1.02 * node.value if node.value else 0.02
            self.replace(self.start(node), self.stop(node), f"{near:.12g}")

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("warn", "Fault") or _draws(node.func):
            return
        line, stop = self.stop(node.func)
        if name in DROPPED and len(node.args) == 1:
            self.replace(self.start(node.func), (line, stop), "")
        if name in FUNCTIONS:
            self.replace((line, stop - len(name)), (line, stop), FUNCTIONS[name])
        if name not in SYMMETRIC:
            for one, other in itertools.pairwise(node.args):
                self._swap(one, other)
        self.generic_visit(node)

    def _swap(self, one: ast.expr, other: ast.expr) -> None:
        (line, start), (last, stop) = self.start(one), self.stop(other)
        if line == last and not isinstance(one, ast.Starred):
            text, (_, end), (_, begin) = self.lines[line - 1], self.stop(one), self.start(other)
            swapped = text[begin:stop] + text[end:begin] + text[start:end]
            self.replace((line, start), (line, stop), swapped)

    def visit_If(self, node: ast.If | ast.IfExp | ast.While) -> None:
        if getattr(node.test, "id", "") == "TYPE_CHECKING":
            return
        if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            (line, start), (_, stop) = self.start(node.test), self.stop(node.test)
            old = self.lines[line - 1][start:stop]
            self.replace((line, start), self.stop(node.test), f"(not {old})")
        self.generic_visit(node)

    visit_IfExp = visit_While = visit_If  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if any(ast.unparse(one).endswith("abstractmethod") for one in node.decorator_list):
            return
        if any(_draws(one) for one in ast.walk(node)):
            return
        for part in [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]:
            self.visit(part)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in node.body:
            self.visit(part)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in DECLARATIONS:
            self.visit(node.value)

    def _stay(self, node: ast.AST) -> None:
        """Messages are left alone."""

    visit_JoinedStr = visit_Raise = _stay  # noqa: N815


def _draws(node: ast.AST) -> bool:
    """Whether it is something of the module that draws figures."""
    return isinstance(node, ast.Attribute) and ast.unparse(node).startswith("draw.")
