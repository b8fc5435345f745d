"""Can the bound be improved? The samples and networks that show Theorem 3's lower bound."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import scipy.linalg
import xarray as xr

from whytrain import lab
from whytrain.errors import UserError
from whytrain.studies.neyshabur2019.trends import PAPER, gathered, values

FLOOR = 1 / (4 * math.sqrt(2))  # what the construction guarantees in the mean
KNOWN = 0.005  # means over draws need not be known better


@dataclass(frozen=True, kw_only=True)
class WitnessSettings(lab.Settings):
    """The size of the network and of the sample, and whether units are alike."""

    h: int = lab.setting(16, "hidden units and inputs, a power of 2", low=2, high=4096)
    n: int = lab.setting(25, "examples for each input", low=1)
    units: str = lab.setting("equal", "unit capacities and impacts", choices=("equal", "skewed"))

    def check(self) -> None:
        """A Hadamard matrix of the construction has a power of 2 for its side."""
        if self.h & (self.h - 1):
            raise UserError(f"setting 'h' must be a power of 2, got {self.h}")


def compute(settings: WitnessSettings, runs: lab.Runs) -> xr.Dataset:
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


WITNESS = lab.Experiment(
    name="witness",
    doc="what Theorem 3's witness reaches, over sum alpha beta ||X||_F / m",
    settings=WitnessSettings,
    compute=compute,
    runs=400,
    block=512,
    version=2,
)
SIZES = {"quick": {"h": (4, 16, 64, 256)}, "paper": {"h": (4, 16, 64, 256, 1024)}}
WITNESSES = WITNESS.grid(SIZES, units=("equal", "skewed"), n=(1, 25))
EQUAL = WITNESS.grid(SIZES)


def _means(name: str) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """The mean over draws at every size."""
    return lambda cells: [lab.estimate_mean(values(cell.data, name)) for cell in cells]


def _spectral(cells: lab.Cells) -> lab.Estimate:
    norms = gathered(cells, "spectral")
    return lab.largest(norms[np.isfinite(norms)])  # it is computed for small sizes only


def _over_root(cells: lab.Cells) -> list[lab.Estimate]:
    """The mean ratio over sqrt(h) at every size."""
    return [
        lab.estimate_mean(values(cell.data, "over_linear") / cell.settings.h**0.5) for cell in cells
    ]


def _largest_size(cells: lab.Cells) -> lab.Cell:
    return max(cells, key=lambda cell: cell.settings.h)


def _beyond_linear(cells: lab.Cells) -> lab.Estimate:
    return lab.estimate_mean(values(_largest_size(cells).data, "over_linear"))


def _growth(cells: lab.Cells) -> str:
    found = f"{_beyond_linear(cells).value:.2f} at $h = {_largest_size(cells).settings.h}$"
    if len(cells) < 2:
        return f"the ratio is {found}, for linear networks 1 at most"
    sizes = [math.log(cell.settings.h) for cell in cells]
    means = [math.log(values(cell.data, "over_linear").mean()) for cell in cells]
    return (
        f"the ratio goes like $h^{{{lab.estimate_slope(sizes, means).value:.2f}}}$ (the "
        f"construction has $(1 + 1/h) \\sqrt{{h}}$) and is {found}, for linear networks 1 at most"
    )


CLAIMS = (
    lab.Claim(
        id="N-T3", title="Theorem 3: the bound cannot be improved", group="definitions",
        source=f"{PAPER}, Theorem 3",
        statement="There are samples on which the complexity is at least a constant times $∑_j "
        r"α_j β_j ‖X‖_F/m$, with $‖U − U_0‖_2 ≤ max_j β_j$: the constant is $1/(4\sqrt{2})$, "
        "whatever $h$ and $n$.",
        requests=WITNESSES,
        parts=(
            lab.Part("mean of what the witness reaches over $∑_j α_j β_j ‖X‖_F/m$, at every size",
                     _means("ratio"), lab.above(FLOOR, resolution=KNOWN)),
            lab.Part("largest $‖U − U_0‖_2$ over $max_j β_j$", _spectral, lab.at_most(1 + 1e-9)),
        ),
        faults=(
            lab.Fault("it falls like $h^{−1/10}$", lab.grown("ratio", "h", -0.1)),
            lab.Fault("$‖U − U_0‖_2$ is larger by a millionth", lab.scaled("spectral", 1 + 1e-6)),
        ),
        does_not_show="Samples other than copies of unit vectors.",
    ),
    lab.Claim(
        id="N-T3b", title="So is its second term needed", group="definitions",
        source=f"{PAPER}, Theorem 3, second term",
        statement="With $β = 0$ the complexity is at least a constant times $∑_j α_j ‖u^0_j "
        "X‖/m$: 1/2 on symmetric samples.",
        requests=WITNESSES,
        parts=(lab.Part("mean of what is reached over $∑_j α_j ‖u^0_j X‖/m$, at every size",
                        _means("initial_ratio"), lab.above(0.5, resolution=KNOWN)),),
        faults=(lab.Fault("it is a fifth lower", lab.scaled("initial_ratio", 0.8)),),
        does_not_show="Samples that do not hold $−x$ with $x$.",
    ),
    lab.Claim(
        id="N-C4", title="Beyond linear networks by a root of the width", group="definitions",
        source=f"{PAPER}, Corollary 4",
        statement=r"Bounded spectral norms allow a complexity that is $\sqrt{h}$ times that of "
        r"linear networks, up to a constant of $1/(4\sqrt{2})$ or more, and beyond what any "
        "linear network has.",
        requests=EQUAL,
        parts=(
            lab.Part(r"mean ratio to linear networks over $\sqrt{h}$, at every size", _over_root,
                     lab.above(FLOOR, resolution=KNOWN)),
            lab.Part("mean ratio to linear networks, at the largest size", _beyond_linear,
                     lab.above(1.0, resolution=KNOWN)),
        ),
        faults=(
            lab.Fault("the ratio grows like $h^{2/5}$", lab.grown("over_linear", "h", -0.1)),
            lab.Fault("it does not grow", lab.grown("over_linear", "h", -0.5)),
        ),
        note=_growth,
        does_not_show="Networks found by training: the witness was constructed.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((WITNESS,), CLAIMS)
