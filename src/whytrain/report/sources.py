"""Where in the code a claim is stated and judged."""

from __future__ import annotations

import ast
import functools
import inspect
from dataclasses import dataclass
from pathlib import Path

import whytrain
from whytrain.lab import Study


@dataclass(frozen=True)
class Code:
    """The lines that state a claim, with the functions that measure it.

    Attributes:
        file: The file, from the package on or by its name.
        line: The first line.
        text: The lines; then the functions of the same file that they name.
    """

    file: str
    line: int
    text: str


def code_of(study: Study) -> dict[str, Code]:
    """Find the code of claims.

    Args:
        study: The study.

    Returns:
        By the id of a claim; those whose id stands nowhere as it is are missing.
    """
    found: dict[str, Code] = {}
    for path in _files(study):
        for id, code in _stated(path).items():
            found.setdefault(id, code)
    return {claim.id: found[claim.id] for claim in study.claims if claim.id in found}


def _files(study: Study) -> list[Path]:
    """The files of a study: those of its package, or the one that it is."""
    own = [experiment.compute for experiment in study.experiments]
    own += [figure.draw for figure in study.figures]
    named = {
        Path(inspect.unwrap(one).__code__.co_filename) for one in own if inspect.isroutine(one)
    }
    packages = {path.parent for path in named if (path.parent / "__init__.py").exists()}
    files = {path for package in packages for path in package.glob("*.py")}
    return sorted(path for path in named | files if path.is_file())


@functools.cache
def _stated(path: Path) -> dict[str, Code]:
    """All that is called with an id in a file, by the id."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (id := _id(node)):
            named = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            parts = [node, *(functions[name] for name in functions if name in named)]
            lines = "\n\n".join(_lines(text, part) for part in parts)
            found.setdefault(id, Code(_shown(path), node.lineno, lines))
    return found


def _id(call: ast.Call) -> str:
    """What a call gives as `id`, by name or first."""
    named = [word.value for word in call.keywords if word.arg == "id"]
    first = named or ([] if isinstance(call.func, ast.Attribute) else call.args[:1])
    values = [one.value for one in first if isinstance(one, ast.Constant)]
    return next((value for value in values if isinstance(value, str)), "")


def _lines(text: str, node: ast.expr | ast.stmt) -> str:
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


def _shown(path: Path) -> str:
    package = Path(whytrain.__file__).parent
    inside = path.is_relative_to(package)
    return path.relative_to(package.parent).as_posix() if inside else path.name
