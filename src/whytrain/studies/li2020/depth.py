"""What does depth do to the kernels, with shortcuts and without?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.kernels.higher import kernels
from whytrain.report import figures as draw
from whytrain.studies.li2020.setup import (
    COLORS,
    LLY,
    NETWORKS,
    TOGETHER,
    NetworkSettings,
    compiled,
    mean_line,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DepthSettings(NetworkSettings):
    """Kernels at the start."""


def compute(settings: DepthSettings, runs: lab.Runs) -> xr.Dataset:
    """Least eigenvalue and mean diagonal of the tangent kernel, and the largest entry of K3."""
    found = runs.draw(partial(_depths, settings), together=TOGETHER)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


@compiled
def _depths(settings: DepthSettings, keys: Array) -> dict[str, Array]:
    def one(key: Array) -> dict[str, Array]:
        params, x, _ = settings.draw(key)
        K2, K3 = kernels(settings.model, params, x, 3)
        return {
            "least": jnp.linalg.eigvalsh(K2)[0],
            "diagonal": jnp.trace(K2) / len(K2),
            "third": jnp.abs(K3).max(),
        }

    return jax.lax.map(one, keys)


DEPTH = lab.Experiment(
    name="depth",
    doc="kernels at the start, over the number of layers",
    settings=DepthSettings,
    compute=compute,
    runs=8,
    block=128,
)
DEPTHS = DEPTH.grid(
    {
        "quick": {"runs": 32, "depth": (2, 8)},
        "paper": {"runs": 40, "depth": (2, 4, 8, 16), "width": 128},
    },
    network=tuple(NETWORKS),
)


def _growth(network: str, *names: str) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """Base-2 logarithms of the factor from the shallowest to the deepest networks."""

    def growth(cells: lab.Cells) -> list[lab.Estimate]:
        chosen = cells.sel(network=network)
        ends = min(chosen.by("depth")), max(chosen.by("depth"))
        return [
            lab.estimate_contrast(
                [np.log2(chosen.sel(depth=depth).pooled(name)) for depth in ends], [-1.0, 1.0]
            )
            for name in names
        ]

    return growth


def _deeper(name: str, network: str, factor: float) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: from layer to layer a number grows by a factor."""
    return lab.scaled(name, lambda settings: factor**settings.depth, network=network)


def _draw(cells: lab.Cells) -> tuple:
    series = [
        draw.Series(
            **mean_line(cells.sel(network=each), "third", "depth"),
            label=words,
            marker="o",
            color=COLORS[each],
        )
        for each, words in NETWORKS.items()
    ]
    figure = draw.lines(
        series, x_label="hidden layers $L$", y_label="largest entry of $|K_3|$", log="xy",
        x_ticks=list(cells.by("depth")),
    )  # fmt: skip
    return figure, (
        "$K_3$ is what moves the tangent kernel; means with 95 % intervals. Without shortcuts it "
        "grows exponentially in $L$, with them it stays as it is."
    )


CLAIMS = (
    lab.Claim(
        id="A-9", title="With shortcuts depth costs nothing", group="dynamics",
        source=f"{LLY}, abstract: residual against fully connected networks",
        statement="Where each layer adds $1/L$ of itself, $K_3$ and the least eigenvalue stay "
        "within a factor 2 from 2 layers to the deepest; without shortcuts $K_3$ grows "
        "exponentially in $L$.",
        requests=DEPTHS,
        parts=(
            lab.Part("$log_2$ of the factor of $max |K_3|$ and of the least eigenvalue, residual",
                     _growth("residual", "third", "least"),
                     lab.equals(0.0, 1.0, resolution=0.2)),
            lab.Part("$log_2$ of the factor of $max |K_3|$, fully connected",
                     _growth("connected", "third"), lab.above(np.log2(100), resolution=0.2)),
        ),
        faults=(
            lab.Fault("$K_3$ of the residual network grows by 1.3 a layer",
                      _deeper("third", "residual", 1.3)),
            lab.Fault("its least eigenvalue falls by 1.2 a layer",
                      _deeper("least", "residual", 1 / 1.2)),
            lab.Fault("$K_3$ of the connected network grows less, by 1.5 a layer",
                      _deeper("third", "connected", 1 / 1.5)),
        ),
        does_not_show="Other scalings. In this one the least eigenvalue of the fully connected "
        "network grows with depth too, and it trains faster: what fails there is that its kernel "
        "stays, not that it is positive.",
        figures=("depth",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((DEPTH,), CLAIMS, (
    lab.Figure("depth", "The third kernel over the depth", DEPTHS, _draw),
))  # fmt: skip
