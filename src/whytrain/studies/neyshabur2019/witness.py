"""`witness`: the samples and networks that show Theorem 3's lower bound."""

import math
from dataclasses import dataclass

import jax
import numpy as np
import scipy.linalg
import xarray as xr

from whytrain.errors import UserError
from whytrain.lab import Experiment, Runs, Settings, estimate_mean, setting

FLOOR = 1 / (4 * math.sqrt(2))  # what the construction guarantees in the mean


@dataclass(frozen=True, kw_only=True)
class WitnessSettings(Settings):
    """The size of the network and of the sample, and whether units are alike."""

    h: int = setting(16, "hidden units and inputs, a power of 2", low=2, high=4096)
    n: int = setting(25, "examples for each input", low=1)
    units: str = setting("equal", "unit capacities and impacts", choices=("equal", "skewed"))

    def check(self) -> None:
        """A Hadamard matrix of the construction has a power of 2 for its side."""
        if self.h & (self.h - 1):
            raise UserError(f"setting 'h' must be a power of 2, got {self.h}")


def compute(settings: WitnessSettings, runs: Runs) -> xr.Dataset:
    """For every draw of signs, what the witness reaches over `sum alpha beta ||X||_F / m`.

    The sample has `n` copies of each unit vector. With `F` a Hadamard matrix over `sqrt(h)` the
    witness is `U = diag(beta) F diag(s)` and `V = alpha`: where the signs of group k sum to
    something negative, `s_k = 0`; elsewhere it is the sign for which the positive half of column k
    carries more `alpha beta`.
    """
    h, n = settings.h, settings.n
    rank = np.arange(1, h + 1)
    alpha, beta = (np.ones(h), np.ones(h)) if settings.units == "equal" else (1 / rank, rank**-0.5)
    hadamard = scipy.linalg.hadamard(h) / math.sqrt(h)
    weight = alpha * beta
    halves = np.stack([weight @ np.maximum(hadamard, 0), weight @ np.maximum(-hadamard, 0)])
    with jax.enable_x64(True):
        seeds = np.asarray(jax.vmap(lambda key: jax.random.bits(key, dtype=np.uint32))(runs.keys()))
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(int(seed))
        sums = 2 * rng.binomial(n, 0.5, h) - n
        reached = float(np.maximum(sums, 0) @ halves.max(axis=0))
        s = np.where(sums < 0, 0, np.where(halves[0] >= halves[1], 1, -1))
        top = float(np.linalg.norm(beta[:, None] * hadamard * s, ord=2)) if h <= 64 else math.nan
        rows.append({
            "ratio": reached / (weight.sum() * math.sqrt(n * h)), "spectral": top / beta.max(),
            "initial_ratio": _initial(rng, alpha),
        })  # fmt: skip
    # With alpha = s1 / sqrt(h), beta = s2 the scale of a linear network, s1 s2 ||X||_F / m, is the
    # ratio's over sqrt(h).
    found = xr.Dataset({name: ("run", [row[name] for row in rows]) for name in rows[0]})
    return found.assign(over_linear=found.ratio * math.sqrt(h), h=("run", [h] * len(rows)))


def _initial(rng: np.random.Generator, alpha: np.ndarray) -> float:
    """The linear class on `[U0 x]_+`, over `sum alpha_j ||u0_j X||`, for inputs x and -x."""
    h = min(len(alpha), 32)
    x = rng.normal(size=(20, h))
    responses = rng.normal(size=(h, h)) @ np.concatenate([x, -x]).T
    signs = rng.choice([-1.0, 1.0], 40)
    reached = alpha[:h] @ np.abs(np.maximum(responses, 0) @ signs)
    return float(reached / (alpha[:h] @ np.linalg.norm(responses, axis=1)))


def summarize(dataset: xr.Dataset, settings: WitnessSettings) -> dict:
    """The mean ratio with its 95 % interval, and the largest spectral norm over `max beta`."""
    del settings
    ratio = estimate_mean(dataset.ratio.values).document()
    return {"ratio": ratio, "spectral": float(dataset.spectral.max()), "floor": FLOOR}


WITNESS = Experiment(
    name="witness",
    doc="what Theorem 3's witness reaches, over sum alpha beta ||X||_F / m",
    settings=WitnessSettings,
    compute=compute,
    summarize=summarize,
    runs=400,
    block=512,
    version=2,
)
