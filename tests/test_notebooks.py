"""The notebooks in examples/ run from the first cell to the last, and have no stored outputs."""

import ast
import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def code(path):
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def shown(cell, names):
    """Run a cell as a notebook does, and give the value of its last line."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return last and eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def pictured(value):
    return any(hasattr(value, method) for method in ("_repr_html_", "_repr_png_"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(name):
        names = {"__name__": "__main__"}
        return names, [shown(cell, names) for cell in code(EXAMPLES / f"{name}.ipynb")]

    return run


def test_there_is_one_for_each_kind_of_user():
    assert [path.stem for path in NOTEBOOKS] == ["practitioner", "reader", "theorist"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_not_kept(path):
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)


def test_the_readers(run):
    names, values = run("reader")
    assert [verdict.word for _, verdict in names["found"].outcomes] == ["supported"]
    assert all(word == "contradicted" for _, word in values[2])
    assert values[3]["success_rate"]["estimate"] < 0.9
    assert values[4].loc["resnet"].min() > values[4].loc["cnn"].max()
    assert len(values[5]._repr_png_()) > 10_000
    assert all(pictured(value) for value in (values[0], values[1], values[3], values[4]))


def test_the_theorists(run, capsys):
    _, values = run("theorist")
    measured, root = capsys.readouterr().out.replace(",", "").split()[1::5]
    assert float(measured) == pytest.approx(float(root), abs=0.02)
    assert values[2][0] == pytest.approx(0.3, abs=0.1)  # P(normal > 1/2)
    assert values[2][1] < values[2][0]
    assert len(values[3]._repr_png_()) > 10_000
    assert values[4] == "supported"
    assert all(pictured(value) for value in (values[0], values[5], values[6]))


def test_the_practitioners(run, capsys):
    names, values = run("practitioner")
    assert names["found"].checked
    assert names["found"].train_error < 0.02
    assert pictured(values[2])
    printed = capsys.readouterr().out
    assert printed.count("gap below") == len(names["found"].bounds)
    assert values[3] is None
    assert "kernel regime" in repr(values[4])
    assert "largest stable step size" in printed
