"""What is measured of an estimator: the paper's ordering, and a user's own derivative."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

import quick
from whytrain.cli import main
from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, Estimator, PiecewiseConstant
from whytrain.measures import load_estimator, measure_ste
from whytrain.networks.quantizer import resolution

VERDICTS = {"relu": "good", "clipped_relu": "good"}


def points(found):
    return {point.kind: point for point in found.points}


PAPERS = {"identity", "relu", "clipped_relu"}


@pytest.mark.parametrize("name", quick.only(ESTIMATORS, PAPERS | {"approx_sign"}))
def test_every_registered_estimator(name):
    found = measure_ste(ESTIMATORS[name])
    assert found.verdict == VERDICTS.get(name, "unstable")
    assert found.descent > 0
    kinds = points(found)
    assert kinds["global"].stable
    assert kinds["spurious"].stable == (found.verdict == "good")
    assert not kinds["saddle"].stable
    assert kinds["saddle"].rate < 0
    json.dumps(found.document(), allow_nan=False)


def test_the_papers_ordering():
    order = [measure_ste(ESTIMATORS[n]) for n in ("clipped_relu", "relu", "identity")]
    assert order[0].correlation > order[1].correlation > order[2].correlation
    assert "lets gradient through where the unit is off" in order[2].recommendation
    assert "shrinks to zero" in order[2].recommendation


def test_the_numbers_of_the_paper():
    m, u = 10, 0.1
    spurious = points(measure_ste(ESTIMATORS["identity"], m, u))["spurious"]
    total = u * (m + 1)
    root = math.sqrt(2 * math.pi)
    assert spurious.slope == pytest.approx(2 * (m - 1) * total / (root * (m + 1) ** 2), rel=1e-12)
    assert spurious.collapse == pytest.approx(1 / spurious.slope, rel=1e-12)
    relu = points(measure_ste(ESTIMATORS["relu"], m, u, length=2.0))
    assert relu["global"].rate == pytest.approx(1 / (2 * root * 2), rel=1e-12)
    assert relu["spurious"].rate == pytest.approx((1 - 2 * u) / (2 * root * 2), rel=1e-12)


def test_an_estimator_that_goes_uphill():
    wrong = Estimator("wrong", lambda x: -jnp.exp(-(x**2)), (), "", "")
    assert measure_ste(wrong).verdict == "uphill"


SCALES = [("relu", 1e30), ("identity", 1e-290), ("relu", 1e-290), ("identity", 1e30)]


@pytest.mark.parametrize(
    ("name", "scale"),
    [*SCALES[:2], *(pytest.param(*one, marks=pytest.mark.slow) for one in SCALES[2:])],
)
def test_the_scale_of_a_derivative_changes_no_verdict(name, scale):
    """A factor of the derivative is one of the filter's step size."""
    one = ESTIMATORS[name]
    scaled = Estimator(name, lambda x: scale * one.derivative(x), one.kinks, "", "")
    found, expected = measure_ste(scaled), measure_ste(one)
    assert found.verdict == expected.verdict
    assert [p.stable for p in found.points] == [p.stable for p in expected.points]
    for ours, theirs in zip(found.points, expected.points, strict=True):
        assert ours.rate / scale == pytest.approx(theirs.rate, rel=1e-6)
        assert (ours.collapse is None) == (theirs.collapse is None)


HIDDEN = {
    "rounded": (lambda x: 1.0 * (jnp.abs(jnp.round(3 * x) / 3) < 1), 2 * ndtr(2.5 / 3) - 1),
    "rounded up": (lambda x: jnp.abs(jnp.round(3 * x) / 3) <= 1, 2 * ndtr(3.5 / 3) - 1),
    "whole numbers": (lambda x: (jnp.abs(x) <= 1).astype(int), 2 * ndtr(1.0) - 1),
    "staircase": (
        lambda x: jnp.clip(jnp.floor(8 * x), 0, 32) / 32, np.mean(ndtr(-np.arange(1, 33) / 8)),
    ),
    "kink": (
        lambda x: jnp.maximum(0, x - 0.3), np.exp(-0.045) / np.sqrt(2 * np.pi) - 0.3 * ndtr(-0.3),
    ),
    "spike": (
        lambda x: 1 + 1e4 * (jnp.abs(x - 0.7001) < 8e-5), 1 + 1e4 * (ndtr(0.70018) - ndtr(0.70002)),
    ),
    "value at 0": (lambda x: jnp.where(x == 0, 5.0, 1.0), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", quick.only(HIDDEN, {"rounded", "kink", "spike"}))
def test_what_nobody_declared_is_found(name):
    derivative, expected = HIDDEN[name]
    found = measure_ste(Estimator(name, derivative, (), "", ""))
    assert found.lengths[40] == pytest.approx(1)
    assert found.passed[40] == pytest.approx(expected, abs=1e-9 * max(1, expected))
    assert found.error < 1e-6
    assert "two rules of which agree" in found.assumptions


def test_what_cannot_be_integrated_is_refused():
    pole = Estimator("pole", lambda x: 1 / jnp.abs(x - 0.3), (), "", "")
    with pytest.raises(UserError, match="two rules of quadrature for 'pole' differ by"):
        measure_ste(pole)
    wave = Estimator("wave", lambda x: jnp.sin(40 * x), (), "", "")  # its mean is 0
    with pytest.raises(UserError, match=r"'wave' differ by 7e-06 of .* too much to say"):
        measure_ste(wave)


@pytest.mark.parametrize("name", quick.only(ESTIMATORS, {"relu", "clipped_relu"}))
def test_nothing_is_found_where_all_is_declared(name):
    """So that the numbers of registered estimators are those of their declared kinks."""
    assert measure_ste(ESTIMATORS[name]).found == ()


@pytest.mark.slow
def test_the_time_until_a_filter_is_gone():
    """By SciPy's adaptive quadrature, twice: of `E |x| mu'(r x) 1{x < 0}`, and of its inverse."""

    def leak(r):
        def integrand(x):
            return x * max(2 - 2 * r * x, 0) * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

        return quad(integrand, 0, min(1 / r, 40), epsabs=1e-12)[0]

    for length in (0.5, 3.0):
        spurious = points(measure_ste(ESTIMATORS["approx_sign"], length=length))["spurious"]
        push = spurious.slope / leak(length)
        expected = quad(lambda r: 1 / leak(r), 0, length, epsabs=1e-10)[0] / push
        assert spurious.collapse == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": 1}, "m must be 2 or more"),
        ({"m": 10**400}, r"m must be a whole number to 10000000, got 10+\.\.\.; more units"),
        ({"m": 10**7 + 1}, "m must be a whole number to 10000000, got 10000001"),
        ({"alignment": 0.6}, "alignment must lie between 0 and 0.5"),
        ({"length": -1.0}, "length must be a finite number > 0"),
    ],
)
def test_bad_numbers_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        measure_ste(ESTIMATORS["relu"], **options)


FILE = """
import jax.numpy as jnp
from whytrain.gaussian import Estimator
def window(x):
    return jnp.where((x > 0) & (x < 2), 1.0, 0.0)
def broken(x):
    return jnp.log(x)
def scalar(x):
    return jnp.sum(x)
def python(x):
    return 1.0 if x > 0 else 0.0
def large(x):
    return 1e308 * (x > 0)
def small(x):
    return 1e-320 * (x > 0)
def hole(x):
    return jnp.where((x > 0.2) & (x < 0.3), jnp.nan, 1.0)
def far(x):
    return jnp.where(x < -70, jnp.nan, 1.0)
def complex(x):
    return x + 1j
def raises(x):
    raise RuntimeError("two\\nlines")
whole = Estimator("whole", window, (0.0, 2.0), "", "")
number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_derivative_of_the_users_own(file, tmp_path, capsys):
    words = ["measure", "ste", "--python", f"{file}:window", "--kink", "0", "--kink", "2"]
    assert main([*words, "--json", "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "good"
    assert (tmp_path / "out" / "ste-window.png").stat().st_size > 10_000
    assert main(["measure", "ste", "--python", f"{file}:whole"]) == 0
    assert "good" in capsys.readouterr().out


def test_a_file_that_ends_the_program_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "ends.py").write_text("import sys\nsys.exit('no\\nmore')\n")
    assert main(["measure", "ste", "--python", f"{tmp_path / 'ends.py'}:f"]) == 2
    assert "SystemExit: no more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--python", "{}:windw"], "has no function 'windw'; did you mean 'window'"),
        (["--python", "{}:number"], "has no function 'number'"),
        (["--python", "{}:broken"], "must be finite, but is not at x = 0"),
        (["--python", "{}:hole"], "must be finite, but is not at x = 0.2"),
        (
            ["--python", "{}:large"],
            "must be between 1e-290 and 1e+150 where it is largest, got 1e+308",
        ),
        (["--python", "{}:small"], "where it is largest, got 1e-320"),
        (["--python", "{}:far"], "must be finite, but is not at x = -7"),
        (["--python", "{}:complex"], "must return real numbers, got complex128"),
        (["--python", "{}:raises"], "fails on an array: RuntimeError: two lines"),
        (["--python", "{}:scalar"], "must return the shape of its argument"),
        (["--python", "{}:python"], "fails on an array"),
        (["--python", "none.py:f"], "there is no Python file 'none.py'"),
        (["--python", "{}"], "FILE:FUNCTION"),
        (["--name", "realu"], "unknown estimator 'realu'; did you mean 'relu'"),
        ([], "give one of --name NAME and --python FILE:FUNCTION"),
    ],
)
def test_mistakes_are_told_in_one_line(file, words, message, capsys):
    assert main(["measure", "ste", *(word.format(file) for word in words)]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert message in told.err
    assert len(told.err.splitlines()) == 1


def test_what_is_lost_at_a_clamp_and_sent_at_its_border():
    top = 3 * resolution(2)
    window = Estimator("window", PiecewiseConstant(0.0, ((0.0, 1.0), (top, -1.0))), (), "", "")
    found = measure_ste(window)
    assert found.lost == pytest.approx(0.0722, abs=1e-4)
    assert found.borders == ((0.0, 0.0, 0.0, 1.0), (top, 1.0, 0.0, 0.0))
    clipped = Estimator("own", lambda x: (x > 0) & (x <= top), (0.0, top), "", "")
    assert measure_ste(clipped).borders[1] == (top, 1.0, 1.0, 0.0)
    assert measure_ste(ESTIMATORS["identity"]).borders == ()
    assert measure_ste(ESTIMATORS["identity"]).lost == 0


@pytest.mark.optional("PyTorch")
def test_a_function_of_pytorch_is_measured(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    path = tmp_path / "own.py"
    path.write_text(
        "import torch\n\n\n"
        "class Step(torch.autograd.Function):\n"
        "    @staticmethod\n"
        "    def forward(ctx, x):\n"
        "        ctx.save_for_backward(x)\n"
        "        return (x > 0).to(x.dtype)\n\n"
        "    @staticmethod\n"
        "    def backward(ctx, g):\n"
        "        [x] = ctx.saved_tensors\n"
        "        return g * ((x >= 0) & (x <= 1)).to(g.dtype)\n"
    )
    found = measure_ste(load_estimator(f"{path}:Step", (0.0, 1.0)))
    known = measure_ste(ESTIMATORS["clipped_relu"])
    np.testing.assert_allclose(found.passed, known.passed, rtol=1e-6)
    assert found.verdict == "good"
    assert found.lost == pytest.approx(0.158655, abs=1e-5)
    assert found.borders == ((0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 1.0, 0.0))
