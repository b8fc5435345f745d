"""The formulas of the bounds once more, in plain NumPy, from the matrices and the whole sample.

Written down from the formulas of the paper and of the released code, without the package.
"""

import numpy as np
from numpy import e, log, log2, sqrt
from numpy.linalg import norm, svd


def network(seed=0, d=12, h=20, c=4, m=150, bias=True):
    """Initial and trained state dicts, inputs and labels that the trained network gets right."""
    rng = np.random.default_rng(seed)
    sizes = {"weight": (h, d), "bias": (h,)}, {"weight": (c, h), "bias": (c,)}
    first = {
        f"{layer}.{part}": rng.uniform(-1, 1, size) / sqrt(size[-1])
        for layer, parts in zip(("hidden", "output"), sizes, strict=True)
        for part, size in parts.items()
        if bias or part == "weight"
    }
    last = {name: w + 0.3 * rng.normal(size=w.shape) for name, w in first.items()}
    x = rng.normal(size=(m, d))
    return first, last, x, logits(last, x).argmax(axis=1)


def logits(state, x):
    hidden = x @ state["hidden.weight"].T + state.get("hidden.bias", 0)
    return np.maximum(hidden, 0) @ state["output.weight"].T + state.get("output.bias", 0)


def margins(state, x, y):
    out = logits(state, x)
    return np.array([
        row[label] - max(v for j, v in enumerate(row) if j != label)
        for row, label in zip(out, y, strict=True)
    ])  # fmt: skip


def spec(matrix):
    return svd(matrix, compute_uv=False)[0]


def rows(matrix):
    return sum(norm(row) for row in matrix)


def inf1(matrix):
    return max(abs(row).sum() for row in matrix)


def capacities(first, last, x, y, share=0.05, delta=0.01):
    """`C` of every bound and of every released form."""
    U, V, U0, V0 = (s[f"{k}.weight"] for s in (last, first) for k in ("hidden", "output"))
    (h, d), c, m = U.shape, len(V), len(x)
    gamma = np.quantile(margins(last, x, y), share)
    B = sqrt((norm(x, axis=1) ** 2).mean())
    Bmax = norm(x, axis=1).max()
    Binf = sqrt((abs(x).max(axis=1) ** 2).mean())
    Breleased = sqrt(sum(x[i : i + 64].max() ** 2 for i in range(0, m, 64)) / m)
    nW = (d + 1) * h + (h + 1) * c
    Lbar = (2 * (d + 1) * h + (h + 1) * c) / nW
    D1, D2 = norm(U - U0), norm(V - V0)
    VC = 2 + nW * Lbar * log2(8 * e * (h + 2 * c) * log2(4 * e * (h + 2 * c)))
    tail = 3 * sqrt(log(m / delta))

    def bm(inf):
        return (16 * c * inf1(U) * inf1(V) * sqrt(log(d)) * inf / gamma + tail) ** 2

    def pac(extra):
        inner = h * (spec(V) * D1) ** 2 + c * (spec(U) * D2) ** 2
        main = 336 * extra * sqrt(log(8 * h)) * Bmax * sqrt(inner) / (sqrt(2) * gamma)
        return main**2 + 6 * log(2 * m / delta)

    def ours(z):
        main = 3 * sqrt(2) * (sqrt(2 * c) + 1) * (norm(V) + 1) * (z + D1 * B + 1) / gamma
        return (main + 3 * sqrt(5 * h + log(max(1, gamma * sqrt(m)) / delta))) ** 2

    spread = ((spec(V) * rows(U - U0)) ** (2 / 3) + (spec(U) * rows(V - V0)) ** (2 / 3)) ** 1.5
    product = (2 + 2 * D1) * (2 + 2 * D2) * (2 + 2 * spec(U)) * (2 + 2 * spec(V))
    root = 4.5 * log(1 / delta) + log(2 * m / gamma) + 2 * log(2 + sqrt(m) * B) + 2 * log(product)
    main = 144 * log(m) * log(2 * nW) * (B + 1 / sqrt(m)) * spread / gamma
    released = np.maximum(x @ U0.T + first.get("hidden.bias", 0), 0)
    return {
        "vc": 8 * c * VC * log(e * max(m / VC, 1)) + 8 * log(2 / delta),
        "bartlett_mendelson2002": bm(Binf),
        "neyshabur2015": (8 * sqrt(c) * norm(U) * norm(V) * B / gamma + tail) ** 2,
        "bartlett2017": (main + sqrt(root)) ** 2,
        "neyshabur2018": pac(1),
        "neyshabur2019": ours(norm(x @ U0.T) / sqrt(m)),
    }, {
        "bartlett_mendelson2002": bm(Breleased),
        "neyshabur2018": pac(spec(U)),
        "neyshabur2019": ours(norm(released) / sqrt(m)),
    }  # fmt: skip
