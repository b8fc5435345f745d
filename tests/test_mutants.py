"""The faults that `make mutants` plants, and that a child's tests really see them."""

import json
import os
import subprocess
import sys

import pytest

import mutants
from mutations import mutations
from reach import tests_of as reaching

KINDS = {
    "a + b * c": ["a - b * c", "a + b / c"],
    "a ** 2": ["a * 2", "a ** 3"],
    "a //= b": ["a /= b"],
    "f(-x)": ["f(x)"],
    "a < b": ["a > b", "a <= b"],
    "a is not b": ["a is  b"],
    "a not in b": ["a  in b"],
    "not (a and b)": [" (a and b)", "not (a or b)"],
    "x = 0.5, 0.0, True": ["x = 0.51, 0.0, True", "x = 0.5, 0.02, True", "x = 0.5, 0.0, False"],
    "jnp.sin(x)": ["jnp.cos(x)"],
    "min(a, b)": ["max(a, b)"],
    "x.mean()": ["x.sum()"],
    "math.sqrt(x)": ["(x)"],
    "f(a, g(b))": ["f(g(b), a)"],
    "keys[1]": ["keys[2]"],
    "y if x.any() else z": ["y if (not x.any()) else z", "y if x.all() else z"],
    "σ = 'é' and b - c": ["σ = 'é' or b - c", "σ = 'é' and b + c"],
}
STAYS = '''
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    x = 1
class A(f(1)):
    """1 < 2."""
    x: Float[Array, "2"]
    y = field(static=True)
    @abstractmethod
    def f(self, x=1): return 1
place = draw.Box("a", 1 + 1)
fault = lab.Fault("larger by 2", lab.added("x", 2 * 3))
def picture(cells):
    x = cells[0] + 1
    return draw.lines([draw.Panel(x)])
@cache(1)
def f(x: tuple[1], y: 1 | 2) -> 1:
    """1 + 1."""
    raise UserError(f"{x + 1}", 1)
'''


@pytest.mark.parametrize("snippet", KINDS)
def test_every_kind_of_change(snippet):
    assert sorted(one.after for one in mutations("m", snippet)) == sorted(KINDS[snippet])


def test_what_is_no_arithmetic_stays():
    assert mutations("m", STAYS) == []


def test_a_change_is_made_where_it_was_found():
    source = "a = 1\nb = a * (\n    2\n)\n"
    (last,) = [one for one in mutations("m", source) if one.line == 3]
    assert last.applied(source) == "a = 1\nb = a * (\n    3\n)\n"
    assert str(last) == "m:3  ⟦2 → 3⟧"


def test_the_seed_draws_and_other_lines_do_not_matter(monkeypatch):
    one, again, other = (mutants.drawn("gaussian", 20, seed) for seed in (1, 1, 2))
    assert one == again
    assert set(one) != set(other)
    source = (mutants.SOURCE / "gaussian/relu.py").read_text()
    longer = [mutants.key(f) for f in mutations("gaussian/relu.py", "import os\n" + source)]
    assert longer == [mutants.key(fault) for fault in mutants.faults_of("gaussian/relu.py")]


def test_near_tests_come_first_and_none_of_the_command_line():
    found = reaching("gaussian/relu.py")
    assert found[:2] == ("src/whytrain/gaussian/relu.py", "tests/gaussian/test_relu.py")
    assert "tests/studies/liu2019/test_setup.py" in found
    assert not any("e2e" in test for test in found)


def test_what_is_fixed_of_all_studies_is_a_test_of_each():
    assert "tests/studies/test_plans.py" in reaching("studies/liu2019/sampling.py")
    assert "tests/studies/test_plans.py" not in reaching("gaussian/relu.py")


def test_what_is_listed_as_no_fault_can_still_be_planted():
    listed = mutants.equivalents()
    possible = {mutants.key(f) for module, *_ in listed for f in mutants.faults_of(module)}
    assert set(listed) <= possible
    assert all(listed.values())


TEST = """
import time
from whytrain.gaussian.relu import ReLU
def test_degree():
    assert ReLU().degree == 1
def test_that_hangs():
    time.sleep(600)
"""
PLANT = """
import json
import sys
from pathlib import Path
import mutants
mutants.KEPT = Path("kept")
(fault,) = [f for f in mutants.faults_of("gaussian/relu.py") if f.after == "        return 2"]
[file] = sys.argv[1:]
found = list(mutants.run({fault: (file,), file: ("test_it.py::test_degree",)}, 1, 300))
found += mutants.run({file: ("test_it.py::test_that_hangs",)}, 1, 2)
found += mutants.run({fault: ("tests/test_errors.py", "tests/test_lazy.py")}, 1, 300)
print(json.dumps([one[1:3] for one in found]))
"""


@pytest.mark.slow  # a minute, of a tool that tells itself what it does
def test_a_child_imports_the_fault_and_nobody_else_does(tmp_path):
    file = tmp_path / "test_it.py"
    file.write_text(TEST)
    (tmp_path / "pytest.ini").touch()  # names of tests begin here, whatever lies above
    told = subprocess.run(
        [sys.executable, "-c", PLANT, str(file)],
        env={**os.environ, "PYTHONPATH": str(mutants.ROOT / "tests")},
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    caught, survived, timeout, unseen = json.loads(told.stdout)
    assert caught == ["caught", "test_it.py::test_degree"]
    assert survived[0] == "SURVIVED"
    assert timeout[0] == "timeout"
    assert unseen[0] == "SURVIVED"  # one file after the other ends without an error


def test_a_function_with_the_name_of_a_module_leads_to_where_it_is_defined():
    """`network` of the measures is one of models, though there is a file of its name."""
    assert "tests/measures/test_models.py" in reaching("measures/traced.py")
