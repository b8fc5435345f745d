"""How wide must a network be for its kernel to stay, as the sample grows?"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.kernels.higher import kernels
from whytrain.kernels.solve import flow
from whytrain.studies.li2020.setup import (
    HY,
    LLY,
    NETWORKS,
    TOGETHER,
    NetworkSettings,
    compiled,
    power,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DemandSettings(NetworkSettings):
    """The flow up to four times the slowest direction's time."""

    inputs: int = lab.setting(64, "length d of an input", low=2, high=100_000)
    horizon: float = lab.setting(4.0, "end of the flow, in n / λ", low=0, exclusive=True)


def compute(settings: DemandSettings, runs: lab.Runs) -> xr.Dataset:
    """The width at which the kernel would move by half its least eigenvalue, going like 1/m."""
    found = runs.draw(partial(_demands, settings), np.float64(settings.horizon), together=TOGETHER)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


@compiled
def _demands(settings: DemandSettings, keys: Array, horizon: Array) -> dict[str, Array]:
    def one(key: Array) -> dict[str, Array]:
        params, x, y = settings.draw(key)
        values = jnp.linalg.eigvalsh(kernels(settings.model, params, x, 2)[0])
        least, rounding = values[0], len(values) * jnp.finfo(values.dtype).eps * values[-1]
        # Of more examples than parameters it is 0, and there is no such width.
        slowest = jnp.where(least > rounding, least, jnp.nan)
        times = jnp.array([0.0, 1.0]) * horizon * settings.examples / slowest
        path = flow(settings.model, params, x, y, times, kernel=True).kernel
        moved = jnp.abs(jnp.linalg.eigvalsh(path[-1] - path[0])).max()
        return {"demand": settings.width * moved / (slowest / 2), "least": least}

    return jax.lax.map(one, keys)


DEMAND = lab.Experiment(
    name="width-demand",
    version=2,
    doc="the width at which the kernel would move by half its least eigenvalue",
    settings=DemandSettings,
    compute=compute,
    runs=8,
    block=128,
)
SAMPLES = DEMAND.grid(
    {
        "quick": {"runs": 6, "examples": (4, 16), "width": 96},
        "paper": {"runs": 20, "examples": (4, 8, 16, 32), "width": 256},
    },
    network=tuple(NETWORKS),
)


def _exponents(cells: lab.Cells) -> list[lab.Estimate]:
    return [power(cells.sel(network=each), "demand", "examples") for each in NETWORKS]


def _note(cells: lab.Cells) -> str:
    residual, connected = (f"$n^{{{one.value:.2f}}}$" for one in _exponents(cells))
    return f"the width that is needed grows like {residual} with shortcuts, {connected} without"


_POWER = "power of $n$ in $m |K_T − K_0|/(λ/2)$, $T = 4n/λ$"
_STEEPER = lab.Fault(
    "the width that is needed grows by another $n^{2.5}$", lab.grown("demand", "examples", 2.5)
)

CLAIMS = (
    lab.Claim(
        id="A-6", title="A width of $n³$ suffices", group="dynamics",
        source=f"{LLY}, abstract (from quartic to cubic); {HY}, convergence",
        statement="A width that grows like $n³$ keeps the change of the tangent kernel below "
        "half its least eigenvalue until the loss is small: the width at which that happens "
        "grows more slowly.",
        requests=SAMPLES,
        parts=(lab.Part(_POWER, _exponents, lab.below(3.0, resolution=0.2)),),
        faults=(_STEEPER,),
        note=_note,
        does_not_show="That $n³$ is needed: on random data the power is near 1, so that the "
        "sufficient condition is far from tight. Nor the powers of $λ$ and $log m$, which were "
        "not tried.",
    ),
    lab.Claim(
        id="A-6-tight", title="A width of $n³$ is needed", group="caveats",
        source="this study: is the cubic condition tight on random data?",
        statement="The width at which the kernel moves by half its least eigenvalue grows like "
        "$n²$ or faster.",
        requests=SAMPLES,
        parts=(lab.Part(_POWER, _exponents, lab.above(2.0, resolution=0.2)),),
        faults=(_STEEPER,),
        note=_note,
        does_not_show="Data that are harder than random points on a sphere.",
        expected="contradicted",
    ),
)  # fmt: skip

TOPIC = lab.Topic((DEMAND,), CLAIMS)
