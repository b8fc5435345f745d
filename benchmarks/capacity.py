"""Capacity, sharpness and trace beside a straightforward PyTorch, in the same run."""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from whytrain.measures import capacity, top_eigenvalue, xtrace

WIDTHS = (784, 1024, 10)
SAMPLES = 1000
DEEP = (64, 512, 512, 1)
POINTS = 256


def measure(repeats: int) -> dict:
    """All three comparisons.

    Args:
        repeats: Turns of each contender; every figure is the median.

    Returns:
        Seconds, ratios and largest differences.
    """
    return {
        "two_layer": _two_layer(repeats), "sharpness": _sharpness(max(repeats // 2, 1)),
        "trace": _trace(),
    }  # fmt: skip


def _turns(repeats: int, contenders: dict[str, Callable[[], Any]]) -> tuple[dict, dict]:
    """Median seconds and last result of each, in turns; a first turn compiles."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    results, first = {}, {}
    for turn in range(repeats + 1):
        for name, contender in contenders.items():
            before = time.perf_counter()
            results[name] = contender()
            spent = time.perf_counter() - before
            seconds[name].append(spent) if turn else first.update({name: spent})
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {"seconds": medians, "first_seconds": first}, results


def _two_layer(repeats: int) -> dict:
    import torch

    d, h, c = WIDTHS
    rng = np.random.default_rng(0)
    initial = {
        "hidden.weight": rng.uniform(-1, 1, (h, d)) / d**0.5,
        "hidden.bias": rng.uniform(-1, 1, h) / d**0.5,
        "output.weight": rng.uniform(-1, 1, (c, h)) / h**0.5,
        "output.bias": rng.uniform(-1, 1, c) / h**0.5,
    }
    trained = {name: w + 0.02 * rng.normal(size=w.shape) for name, w in initial.items()}
    x = rng.normal(size=(SAMPLES, d))
    hidden = np.maximum(x @ trained["hidden.weight"].T + trained["hidden.bias"], 0)
    y = (hidden @ trained["output.weight"].T + trained["output.bias"]).argmax(axis=1)
    states = [{k: torch.from_numpy(v) for k, v in s.items()} for s in (initial, trained)]
    sample = torch.from_numpy(x), torch.from_numpy(y)

    def ours(batch: int = 4096) -> dict[str, float]:
        found = capacity(initial, trained, x, y, batch=batch)
        return found.norms | {name: bound.capacity for name, bound in found.bounds.items()}

    timed, results = _turns(
        repeats, {"whytrain": ours, "torch": lambda: _torch_capacity(torch, *states, *sample)}
    )
    peer, mine = results["torch"], results["whytrain"]
    batches = [ours(batch) for batch in (1, 64, 333)]
    return timed | {
        "ratio": timed["seconds"]["torch"] / timed["seconds"]["whytrain"],
        "numbers": len(peer),
        "largest_difference": _difference(mine, peer),
        "largest_difference_of_batches": max(_difference(mine, other) for other in batches),
    }


def _difference(one: dict, other: dict) -> float:
    return max(abs(one[name] / other[name] - 1) for name in other)


def _torch_capacity(torch: Any, initial: dict, trained: dict, x: Any, y: Any) -> dict[str, float]:
    """The same list as one would write it down in PyTorch, float64."""
    two = lambda a: torch.linalg.matrix_norm(a, ord=2)  # noqa: E731
    rows = lambda a: a.norm(dim=1).sum()  # noqa: E731
    log, sqrt, tensor = torch.log, torch.sqrt, torch.tensor
    U, V = trained["hidden.weight"], trained["output.weight"]
    U0, V0 = initial["hidden.weight"], initial["output.weight"]
    (h, d), c, m, delta = U.shape, len(V), len(x), 0.01
    logits = torch.relu(x @ U.T + trained["hidden.bias"]) @ V.T + trained["output.bias"]
    own = logits.gather(1, y[:, None])[:, 0]
    rest = logits.scatter(1, y[:, None], -torch.inf).max(dim=1).values
    gamma = torch.quantile(own - rest, 0.05)
    found: dict[str, Any] = {}
    for name, now, then in (("U", U, U0), ("V", V, V0)):
        found |= {
            f"{name}_spectral": two(now), f"{name}_frobenius": now.norm(), f"{name}_1_2": rows(now),
            f"{name}_inf_1": now.abs().sum(dim=1).max(), f"{name}0_spectral": two(then),
            f"{name}0_frobenius": then.norm(), f"{name}_distance_spectral": two(now - then),
            f"{name}_distance_frobenius": (now - then).norm(),
            f"{name}_distance_1_2": rows(now - then),
        }  # fmt: skip
    length = x.norm(dim=1)
    found |= {
        "path_1": (V.abs() @ U.abs().sum(dim=1)).sum(),
        "path_2": sqrt((V**2 @ (U**2).sum(dim=1)).sum()),
        "input_rms": sqrt((length**2).mean()), "input_max": length.max(),
        "input_inf_rms": sqrt((x.abs().max(dim=1).values ** 2).mean()),
        "U0_response": (x @ U0.T).norm() / m**0.5,
    }  # fmt: skip
    U2, V2, UF, VF = two(U), two(V), U.norm(), V.norm()
    D1, D2, B = (U - U0).norm(), (V - V0).norm(), found["input_rms"]
    W = (d + 1) * h + (h + 1) * c
    depth, units = (2 * (d + 1) * h + (h + 1) * c) / W, h + 2 * c
    e = tensor(1.0, dtype=x.dtype).exp()
    vc = 2 + W * depth * torch.log2(8 * e * units * torch.log2(4 * e * units))
    tail = 3 * sqrt(log(tensor(m / delta, dtype=x.dtype)))
    inf = found["U_inf_1"] * found["V_inf_1"] * found["input_inf_rms"]
    spread = (V2 * rows(U - U0)) ** (2 / 3) + (U2 * rows(V - V0)) ** (2 / 3)
    logs = tensor([m, 2 * W, d, 1 / delta, 8 * h, 2 * m / delta, 2 / delta], dtype=x.dtype).log()
    union = 4.5 * logs[3] + log(2 * m / gamma) + 2 * log(2 + m**0.5 * B)
    union = union + 2 * log((2 + 2 * D1) * (2 + 2 * D2) * (2 + 2 * U2) * (2 + 2 * V2))
    main = 144 * logs[0] * logs[1] * (B + m**-0.5) * spread**1.5 / gamma
    pac = sqrt(logs[4]) * length.max() * sqrt(h * (V2 * D1) ** 2 + c * (U2 * D2) ** 2)
    size = (VF + 1) * (found["U0_response"] + D1 * B + 1)
    late = 5 * h + log(torch.clamp(gamma * m**0.5, min=1) / delta)
    found |= {
        "vc": 8 * c * vc * log(e * torch.clamp(m / vc, min=1)) + 8 * logs[6],
        "bartlett_mendelson2002": (16 * c * inf * sqrt(logs[2]) / gamma + tail) ** 2,
        "neyshabur2015": (8 * c**0.5 * UF * VF * B / gamma + tail) ** 2,
        "bartlett2017": (main + sqrt(union)) ** 2,
        "neyshabur2018": (336 * pac / (2**0.5 * gamma)) ** 2 + 6 * logs[5],
        "neyshabur2019": (3 * 2**0.5 * ((2 * c) ** 0.5 + 1) * size / gamma + 3 * sqrt(late)) ** 2,
    }
    return {name: float(value) for name, value in found.items()}


def _problem() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    params = []
    for fan_in, out in itertools.pairwise(DEEP):
        params += [rng.uniform(-1, 1, (out, fan_in)) / fan_in**0.5]
        params += [rng.uniform(-1, 1, out) / fan_in**0.5]
    x = rng.normal(size=(POINTS, DEEP[0]))
    return params, x, np.sin(2 * x[:, :1]) + x[:, 1:2]


def _loss(params: Sequence[Any], x: Any, y: Any) -> Any:
    import jax

    for i in range(0, len(params), 2):
        x = (jax.nn.relu(x) if i else x) @ params[i].T + params[i + 1]
    return ((x - y) ** 2).mean()


def _sharpness(repeats: int) -> dict:
    import torch

    params, x, y = _problem()

    def peer(dtype: Any) -> tuple[float, int]:
        weights = [torch.tensor(p, dtype=dtype, requires_grad=True) for p in params]
        return _torch_eigenvalue(
            torch, weights, torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=dtype)
        )

    timed, results = _turns(repeats, {
        "whytrain": lambda: top_eigenvalue(_loss, params, x, y),
        "torch float64": lambda: peer(torch.float64), "torch float32": lambda: peer(torch.float32),
    })  # fmt: skip
    found, (value, products) = results["whytrain"], results["torch float64"]
    ours = timed["seconds"]["whytrain"]
    return timed | {
        "ratio": timed["seconds"]["torch float64"] / ours,
        "ratio_to_float32": timed["seconds"]["torch float32"] / ours,
        "value": found.value, "residual_bound": found.residual / found.value,
        "difference": abs(found.value / value - 1),
        "float32_error": abs(results["torch float32"][0] / value - 1), "products": found.products,
        "torch_products": products,
    }  # fmt: skip


def _torch_eigenvalue(torch: Any, weights: list, x: Any, y: Any) -> tuple[float, int]:
    """Double backward, and SciPy's `eigsh` to the same tolerance."""
    out = x
    for i in range(0, len(weights), 2):
        out = (torch.relu(out) if i else out) @ weights[i].T + weights[i + 1]
    slopes = torch.autograd.grad(((out - y) ** 2).mean(), weights, create_graph=True)
    slope = torch.cat([part.reshape(-1) for part in slopes])
    count = 0

    def product(vector: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        vector = torch.from_numpy(np.asarray(vector)).to(x.dtype).reshape(-1)
        parts = torch.autograd.grad(slope @ vector, weights, retain_graph=True)
        return torch.cat([part.reshape(-1) for part in parts]).double().numpy()

    operator = LinearOperator((slope.numel(),) * 2, matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(slope.numel())
    [value] = eigsh(operator, k=1, which="LA", tol=1e-6, v0=start, return_eigenvectors=False)
    return float(value), count


def _trace() -> dict:
    """How often the 95 % interval of the trace covers it, on a small network's Hessian."""
    import jax
    from jax.flatten_util import ravel_pytree

    rng = np.random.default_rng(0)
    sizes = (5, 16, 12, 1)
    params = []
    for fan_in, out in itertools.pairwise(sizes):
        params += [rng.normal(size=(out, fan_in)) / fan_in**0.5, 0.1 * rng.normal(size=out)]
    x = rng.normal(size=(40, sizes[0]))
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(params)
        matrix = np.asarray(jax.hessian(lambda p: _loss(unravel(p), x, np.sin(x[:, :1])))(flat))
    true, found = float(np.trace(matrix)), []
    for seed in range(200):
        found.append(xtrace(lambda v: matrix @ v, len(matrix), np.random.default_rng(seed)))
    values = [each.value for each in found]
    return {
        "true": true, "lowest": min(values), "highest": max(values), "repetitions": len(found),
        "covered": sum(each.low <= true <= each.high for each in found),
        "products": found[0].products, "parameters": len(matrix),
    }  # fmt: skip
