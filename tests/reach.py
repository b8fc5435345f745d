"""Which tests reach a module, nearest first, as its imports and theirs say."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC, TESTS = ROOT / "src", ROOT / "tests"
FAR = 2  # imports between a module and a test of another package


@functools.cache
def tests_of(module: str) -> tuple[str, ...]:
    """The module's doctests, the test of its name, those of its package, and others that are near.

    Of a study also those of all studies, which are loaded by their names. Not those of the command
    line: they start processes.
    """
    path, folder = SRC / "whytrain" / module, TESTS / Path(module).parent
    ranked = []
    for test in TESTS.rglob("test_*.py"):
        far, other, named = distance(test, path), test.parent != folder, test.stem[5:] == path.stem
        if far and (far <= FAR or not other) and "e2e" not in test.parts:
            ranked.append((other or not named, other, far, str(test.relative_to(ROOT))))
    doctests = [str(path.relative_to(ROOT))] if ">>>" in path.read_text() else []
    of_all = [str(test.relative_to(ROOT)) for test in folder.parent.glob("test_*.py")]
    # Backwards: plans are read in a second, numbers are computed for minutes.
    named = sorted(of_all, reverse=True) if folder.parent == TESTS / "studies" else []
    return (*doctests, *(test for *_, test in sorted(ranked)), *named)


def distance(test: Path, module: Path) -> int | None:
    """How many imports lead from a test to a module, or None."""
    near, seen, count = {test}, set(), 0
    while near and module not in near:
        seen |= near
        near = {path for one in near for path in imports(one)} - seen
        count += 1
    return count if near else None


@functools.cache
def imports(path: Path) -> frozenset[Path]:
    """The files of whytrain that a file imports, wherever it does; see `home`."""
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {home(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {home(alias.name, "") for alias in node.names}
    return frozenset(found - {None})


def home(module: str, name: str) -> Path | None:
    """The file that defines a name which a module offers; a package is asked where it has it."""
    base = SRC.joinpath(*module.split("."))
    package = base / "__init__.py"
    for node in _tree(package).body if package.is_file() else ():
        if isinstance(node, ast.ImportFrom) and node.module and node.module != module:
            offered = {alias.asname or alias.name: alias.name for alias in node.names}
            if name in offered:  # a function, though there may be a module of its name, too
                return home(node.module, offered[name])
    inside = (base / f"{name}.py", base / name / "__init__.py") if name else ()
    for path in (*inside, base.with_suffix(".py"), package):
        if path.is_file():
            return path
    return None


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())
