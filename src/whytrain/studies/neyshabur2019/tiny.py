"""`tiny`: Rademacher complexities of tiny classes by brute force, beside Theorem 1."""

import itertools
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain.lab import Experiment, Runs, Settings, setting
from whytrain.measures.margins import margins, ramp
from whytrain.measures.rademacher import covering_number_log, theorem1, theorem1_by_norms

_GRID = 61
_UNITS = (2, 8, 64, 1024, 32768, 10**6)  # widths at which the covering number is evaluated


@dataclass(frozen=True, kw_only=True)
class TinySettings(Settings):
    """The size of the class and of the sample."""

    h: int = setting(3, "hidden units of the class without loss", low=1, high=16)
    m: int = setting(7, "examples; all 2^m sign vectors are gone through", low=1, high=12)


def compute(settings: TinySettings, runs: Runs) -> xr.Dataset:
    """Ratios of complexities to their bounds, and slopes of the margin and of both ramps.

    Besides `covering`, the largest `ln N / h` over numbers of units h: nothing about it is random.
    """
    with jax.enable_x64(True):
        seeds = np.asarray(jax.vmap(lambda key: jax.random.bits(key, dtype=np.uint32))(runs.keys()))
    rows = [_one(settings, np.random.default_rng(int(seed))) for seed in seeds]
    return xr.Dataset({name: ("run", [row[name] for row in rows]) for name in rows[0]})


def _one(settings: TinySettings, rng: np.random.Generator) -> dict[str, float]:
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=settings.m)))
    alpha, beta = rng.exponential(size=(2, settings.h))
    x, U0 = rng.normal(size=(settings.m, 2)), rng.normal(size=(settings.h, 2))
    facts = (float(np.linalg.norm(x)), np.linalg.norm(U0 @ x.T, axis=1), 2, 1.0, settings.m)
    unit = theorem1(alpha, beta, *facts)
    return {
        "no_loss": _no_loss(signs, alpha, beta, x, U0), "ramp_loss": _ramp_loss(signs, rng),
        "by_norms": theorem1_by_norms(alpha, beta, *facts) / unit, **_slopes(rng),
        "covering": max(covering_number_log(h) / h for h in _UNITS),
    }  # fmt: skip


def _no_loss(
    signs: np.ndarray, alpha: np.ndarray, beta: np.ndarray, x: np.ndarray, U0: np.ndarray
) -> float:
    """The complexity of one output without loss over `(1/m) sum_j alpha_j (beta_j |X| + |u0_j X|)`.

    The supremum is taken unit by unit, for `v_j` may have either sign; over a grid of each disc, so
    that the complexity comes out a little too small.
    """
    angles = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    disc = np.concatenate([radius * circle for radius in np.linspace(0, 1, 9)])
    total, bound = 0.0, 0.0
    for a, b, u in zip(alpha, beta, U0, strict=True):
        outputs = np.maximum((u + b * disc) @ x.T, 0)
        total += a * float(np.abs(signs @ outputs.T).max(axis=1).mean())
        bound += a * (b * float(np.linalg.norm(x)) + float(np.linalg.norm(x @ u)))
    return total / bound


def _ramp_loss(signs: np.ndarray, rng: np.random.Generator) -> float:
    """The complexity of the ramp loss over (6), for one unit, one input and two classes."""
    m = signs.shape[1]
    (alpha, beta), u0, gamma = rng.exponential(size=2), rng.normal(), rng.exponential()
    x, y = rng.normal(size=m), rng.integers(0, 2, m)
    turn = np.linspace(-1, 1, _GRID)
    hidden = np.maximum((u0 + beta * turn)[:, None] * x, 0)
    # Only the difference of both output weights enters the margin; it is sqrt(2) alpha at most.
    gaps = np.sqrt(2) * alpha * turn
    found = (gaps[:, None, None] * hidden * np.where(y == 0, 1, -1)).reshape(-1, m)
    losses = ramp(found.ravel(), gamma).reshape(found.shape)
    complexity = float((signs @ losses.T).max(axis=1).mean()) / m
    one = np.ones(1)
    response = float(np.linalg.norm(u0 * x)) * one
    bound = theorem1(alpha * one, beta * one, float(np.linalg.norm(x)), response, 2, gamma, m)
    return complexity / bound


def _slopes(rng: np.random.Generator) -> dict[str, float]:
    """Largest difference quotients: of the margin, and of both ramps in units of `1 / gamma`."""
    logits = rng.normal(size=(400, 4))
    other = logits + rng.normal(size=(400, 4)) * rng.exponential(size=(400, 1))
    labels = np.zeros(400, int)
    change = np.abs(margins(logits, labels) - margins(other, labels))
    gamma = 1.0
    at = np.sort(rng.uniform(-0.5, 1.5, 2000))
    printed = np.select([at > gamma, at >= 0], [0.0, at / gamma], 1.0)
    quotient = lambda loss: float((np.abs(np.diff(loss)) / np.diff(at)).max())  # noqa: E731
    return {
        "margin_slope": float((change / np.linalg.norm(logits - other, axis=1)).max()),
        "ramp_slope": quotient(ramp(at, gamma)), "printed_slope": quotient(printed),
        "ramp_below_error": float((ramp(at, gamma) < (at <= 0)).any()),
        "printed_below_error": float((printed < (at <= 0)).any()),
    }  # fmt: skip


def summarize(dataset: xr.Dataset, settings: TinySettings) -> dict:
    """The largest value of every number."""
    del settings
    return {name: float(dataset[name].max()) for name in dataset.data_vars}


TINY = Experiment(
    name="tiny",
    doc="Rademacher complexities of tiny classes by brute force, over their bounds",
    settings=TinySettings,
    compute=compute,
    summarize=summarize,
    runs=30,
    block=64,
    version=2,
)
