"""Trace and top eigenvalue of a Hessian beside other tools, and of ten million parameters."""

import importlib.util
import itertools
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.capacity import _loss, _problem
from benchmarks.timing import seconds
from whytrain.measures import hessian_trace, top_eigenvalue, xtrace

REPETITIONS = 200
TRACES = {  # eigenvalues of a matrix in no special basis, and products with the matrix
    "0.9^i, 90 products": (0.9 ** np.arange(200), 90),
    "three outliers, 30 products": (
        np.concatenate([[100.0, 50.0, 20.0], np.geomspace(1, 1e-4, 197)]), 30
    ),
    "i^-1, 12 products": (1 / np.arange(1.0, 201.0), 12),
}  # fmt: skip
LARGE = (1000, 3000, 2300, 10)  # 9.9 million weights
EXAMPLES = 64

Estimate = tuple[float, float, float]


def measure(repeats: int) -> dict:
    """All three comparisons; a peer that is not installed is left out.

    Args:
        repeats: Turns of each contender for the eigenvalue; every figure is the median.

    Returns:
        Errors, coverage, seconds, bytes.
    """
    return {"trace": _traces(), "top": _top(max(repeats // 2, 1)), "large": _large()}


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _traces() -> dict:
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 200)))[0]
    cases = {name: ((turn * values) @ turn.T, n) for name, (values, n) in TRACES.items()}
    tools: dict[str, Callable] = {"whytrain": _ours, "Hutch++": _hutchpp}
    if _there("matfree"):
        tools["matfree, XTrace"] = _matfree
    return {
        name: {tool: _scored(run, *case) for tool, run in tools.items()}
        for name, case in cases.items()
    }


def _scored(run: Callable, matrix: np.ndarray, products: int) -> dict:
    """Root mean square error and coverage of nominal 95 % intervals."""
    found = np.array(run(matrix, products))
    true = np.trace(matrix)
    return {
        "error": float(np.sqrt(np.mean((found[:, 0] - true) ** 2))),
        "covered": float(np.mean((found[:, 1] <= true) & (true <= found[:, 2]))),
    }


def _ours(matrix: np.ndarray, products: int) -> list[Estimate]:
    found = [
        xtrace(lambda v: matrix @ v, len(matrix), np.random.default_rng(seed), products)
        for seed in range(REPETITIONS)
    ]
    return [(one.value, one.low, one.high) for one in found]


def _hutchpp(matrix: np.ndarray, products: int) -> list[Estimate]:
    """Meyer, Musco, Musco and Woodruff 2021, a third of the products for each of its parts."""
    return [_hutchpp_once(matrix, products // 3, seed) for seed in range(REPETITIONS)]


def _hutchpp_once(matrix: np.ndarray, third: int, seed: int) -> Estimate:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (2, len(matrix), third))
    basis = np.linalg.qr(matrix @ signs[0])[0]
    rest = signs[1] - basis @ (basis.T @ signs[1])
    each = np.sum(rest * (matrix @ rest), axis=0)
    found = float(np.sum(basis * (matrix @ basis)) + each.mean())
    reach = 1.96 * float(each.std(ddof=1)) / math.sqrt(third)
    return found, found - reach, found + reach


def _matfree(matrix: np.ndarray, products: int) -> list[Estimate]:
    import jax
    from matfree import stochtrace

    with jax.enable_x64(True):
        sampler = stochtrace.sampler_normal(np.zeros(len(matrix)), num=products // 2)
        run = stochtrace.estimator_leave_one_out_mean_and_sem(
            stochtrace.leave_one_out_xtrace(), sampler
        )
        once = jax.jit(lambda key: run(lambda v: matrix @ v, key))
        found = [once(jax.random.key(seed)) for seed in range(REPETITIONS)]
    return [
        (float(mean), float(mean - 1.96 * sem), float(mean + 1.96 * sem)) for mean, sem in found
    ]


def _top(repeats: int) -> dict:
    """The top eigenvalue of a small network, beside those that are installed."""
    params, x, y = _problem()
    tools: dict[str, Callable[[], tuple[float, float | None]]] = {
        "whytrain": lambda: _value(top_eigenvalue(_loss, params, x, y))
    }
    if _there("torch"):
        tools["PyTorch, power iteration"] = lambda: (_power(params, x, y), None)
    if _there("torch") and _there("curvlinops"):
        tools["curvlinops and eigsh"] = lambda: (_curvlinops(params, x, y), None)
    found = {}
    for name, run in tools.items():
        value, bound = run()
        times = sorted(seconds(run) for _ in range(repeats))
        found[name] = {"value": value, "bound": bound, "seconds": times[len(times) // 2]}
    return found


def _value(found: Any) -> tuple[float, float]:
    return found.value, found.residual


def _model(params: list, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any, Any]:
    import torch

    layers: list[Any] = []
    for i in range(0, len(params), 2):
        linear = torch.nn.Linear(*params[i].shape[::-1], dtype=torch.float64)
        linear.weight.data, linear.bias.data = map(torch.from_numpy, params[i : i + 2])
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]), torch.from_numpy(x), torch.from_numpy(y)


def _power(params: list, x: np.ndarray, y: np.ndarray) -> float:
    """Power iteration, ended where the value changes by less than 1e-3, as tools have it."""
    import torch

    model, x_, y_ = _model(params, x, y)
    weights = list(model.parameters())
    loss = torch.nn.functional.mse_loss(model(x_), y_)
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    slope = torch.cat([part.reshape(-1) for part in slopes])
    torch.manual_seed(0)
    vector, last = torch.randn(slope.numel(), dtype=torch.float64), 0.0
    for _ in range(100):
        vector = vector / vector.norm()
        parts = torch.autograd.grad(slope @ vector, weights, retain_graph=True)
        moved = torch.cat([part.reshape(-1) for part in parts])
        value = float(vector @ moved)
        if abs(value - last) < 1e-3 * abs(value):
            break
        vector, last = moved, value
    return value


def _curvlinops(params: list, x: np.ndarray, y: np.ndarray) -> float:
    import torch
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import eigsh

    model, x_, y_ = _model(params, x, y)
    weights = list(model.parameters())
    operator = HessianLinearOperator(model, torch.nn.MSELoss(), weights, [(x_, y_)])
    [value] = eigsh(operator.to_scipy(), k=1, which="LA", tol=1e-6, return_eigenvectors=False)
    return float(value)


def _large() -> dict:
    """Seconds and the largest memory of a whole process, for each instrument."""
    found = {}
    for what in ("trace", "top"):
        call = [sys.executable, "-m", "benchmarks.curvature", what]
        found[what] = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)
    return found


def _large_one(what: str) -> dict:
    rng = np.random.default_rng(0)
    params: list[np.ndarray] = []
    for fan_in, out in itertools.pairwise(LARGE):
        params += [rng.standard_normal((out, fan_in)) * (2 / fan_in) ** 0.5, np.zeros(out)]
    x = rng.standard_normal((EXAMPLES, LARGE[0]))
    y = rng.standard_normal((EXAMPLES, LARGE[-1]))
    before = time.perf_counter()
    if what == "trace":
        one = hessian_trace(_loss, params, x, y, products=20)
        error = (one.high - one.low) / 2 / one.value
    else:
        top = top_eigenvalue(_loss, params, x, y, tolerance=1e-2, most=24)
        one, error = top, top.residual / top.value
    return {
        "parameters": sum(array.size for array in params),
        "products": one.products,
        "relative_error": error,
        "seconds": time.perf_counter() - before,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


if __name__ == "__main__":
    print(json.dumps(_large_one(sys.argv[1])))
