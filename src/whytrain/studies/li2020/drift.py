"""How far does the tangent kernel move while a network trains?"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.kernels.solve import flow
from whytrain.report import figures as draw
from whytrain.studies.li2020.setup import (
    COLORS,
    HY,
    LLY,
    NETWORKS,
    TOGETHER,
    NetworkSettings,
    compiled,
    grown,
    mean_line,
    powers,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DriftSettings(NetworkSettings):
    """The gradient flow of the mean squared error, and when it is looked at."""

    time: float = lab.setting(2.0, "time at which the flow ends", low=0, exclusive=True)
    times: int = lab.setting(5, "times at which the kernel is looked at, from 0 on", low=2)


def compute(settings: DriftSettings, runs: lab.Runs) -> xr.Dataset:
    """How far kernel and loss get, and the loss over what the kernel's eigenvalues promise."""
    times = np.linspace(0, settings.time, settings.times)
    found = runs.draw(partial(_drifts, settings), times, together=TOGETHER)
    return xr.Dataset(
        {
            name: (("run", "time", "eigenvalue")[: np.ndim(values)], values)
            for name, values in found.items()
        },
        {"time": times},
    )


@compiled
def _drifts(settings: DriftSettings, keys: Array, times: Array) -> dict[str, Array]:
    def one(key: Array) -> dict[str, Array]:
        params, x, y = settings.draw(key)
        path = flow(settings.model, params, x, y, times, kernel=True)
        kernel, residual = path.kernel, path.outputs - y
        values = jnp.linalg.eigvalsh(kernel)
        risk = jnp.sum(residual**2, axis=1) / (2 * len(y))
        # The least eigenvalue up to each time, at the times that are looked at.
        least = jax.lax.cummin(values[:, 0])
        promised = risk[0] * jnp.exp(-2 * least * times / len(y))
        moved = kernel - kernel[0]
        return {
            "drift": jnp.linalg.norm(moved[-1]) / jnp.linalg.norm(kernel[0]),
            "largest": jnp.abs(moved).max(),
            "risk": risk,
            "over_promise": (risk / promised).max(),
            "spectrum": values,
        }

    return jax.lax.map(one, keys)


DRIFT = lab.Experiment(
    name="drift",
    doc="the tangent kernel along the gradient flow, and how far it moves",
    settings=DriftSettings,
    compute=compute,
    runs=8,
    block=128,
)
WIDTHS = DRIFT.grid(
    {
        "quick": {"runs": 64, "width": (32, 128)},
        "paper": {"runs": 40, "width": (32, 64, 128, 256, 512)},
    },
    network=tuple(NETWORKS),
)


def _ratio(cells: lab.Cells) -> lab.Estimate:
    """By what factor the residual network's kernel moves less, as a difference of logarithms."""
    width = max(cells.by("width"))
    groups = [np.log(cells.sel(network=each, width=width).pooled("drift")) for each in NETWORKS]
    return lab.estimate_contrast(groups, [-1.0, 1.0])


def _draw_drift(cells: lab.Cells) -> tuple:
    series = [
        draw.Series(
            **mean_line(cells.sel(network=each), "drift"), label=words, marker="o",
            color=COLORS[each],
        )
        for each, words in NETWORKS.items()
    ]  # fmt: skip
    slopes = [f"$m^{{{one.value:.2f}}}$" for one in powers("drift")(cells)]
    figure = draw.lines(
        series, x_label="width $m$", y_label="drift $|K_t − K_0|/|K_0|$", log="xy",
        x_ticks=list(cells.by("width")),
    )  # fmt: skip
    time = cells[0].settings.time
    return figure, (
        f"How far the tangent kernel is from the initial one at time {time:g}, means over runs "
        f"with 95 % intervals. It falls like {' and '.join(slopes)}, with shortcuts and without: a "
        "wider network stays nearer to its first kernel, and one with shortcuts nearer still."
    )


def _draw_spectra(cells: lab.Cells) -> tuple:
    width = min(cells.by("width"))
    series = []
    for each, color in COLORS.items():
        cell = cells.sel(network=each, width=width)[0]
        values = cell.data.spectrum.values[0]
        for place in range(values.shape[1]):
            label = NETWORKS[each] if place == values.shape[1] - 1 else ""
            series.append(draw.Series(cell.data.time.values, values[:, place], label, color=color))
    figure = draw.lines(series, x_label="time $t$", y_label="eigenvalues of the kernel", log="y")
    return figure, (
        f"All eigenvalues of the tangent kernel while one network of each kind trains, width "
        f"{width}, the narrowest here. None comes near 0: the loss falls at least as fast as the "
        "least of them says."
    )


def _mean_rate(cell: lab.Cell) -> lab.Cell:
    """What the loss would promise if it fell at the mean eigenvalue's rate: too much, by Jensen."""
    mean = cell.data.spectrum.values.mean(axis=2).min(axis=1, keepdims=True)
    time, risk = cell.data.time.values, cell.data.risk.values
    promised = risk[:, :1] * np.exp(-2 * mean * time / cell.settings.examples)
    return cell.assign(over_promise=(risk / promised).max(axis=1))


def _other_network(cell: lab.Cell) -> lab.Cell:
    swapped = {"residual": "connected", "connected": "residual"}[cell.settings.network]
    return lab.Cell(cell.settings.but(network=swapped), cell.data)


CLAIMS = (
    lab.Claim(
        id="A-4", title="The kernel drifts like $1/m$", group="dynamics",
        source=f"{HY}, Theorem 2.3; {LLY}, main theorem",
        statement="Up to a fixed time the tangent kernel moves by $O((t + t²)/m)$, for networks "
        "with shortcuts and without.",
        requests=WIDTHS,
        parts=(
            lab.Part("power of $m$ in the drift $|K_t − K_0|/|K_0|$", powers("drift"),
                     lab.below(-0.5, resolution=0.1)),
            lab.Part("power of $m$ in the largest change of an entry", powers("largest"),
                     lab.below(-0.5, resolution=0.1)),
        ),
        faults=(
            lab.Fault("the drift does not fall", grown("drift", 1.0)),
            lab.Fault("the change of an entry does not fall", grown("largest", 1.0)),
        ),
        does_not_show="The powers of $log m$, of $n$ and of $t$, and times that grow with the "
        "width.",
        figures=("drift", "spectra"),
    ),
    lab.Claim(
        id="A-5", title="The loss falls at the kernel's rate", group="dynamics",
        source=f"{LLY} and {HY}, convergence",
        statement="If the least eigenvalue of $K$ is at least $λ$ up to time $t$, then $R(t) ≤ "
        "exp(−2λt/n) R(0)$.",
        requests=WIDTHS,
        parts=(
            lab.identity("over_promise", tolerance=1 + 1e-6,
                         what="largest $R(t)$ over $exp(−2λt/n) R(0)$, $λ$ looked up at the "
                              "times"),
        ),
        faults=(lab.Fault("the rate is that of the mean eigenvalue", lab.changed(_mean_rate)),),
        does_not_show="That $λ$ stays away from 0 for all times: see A-4 and A-6.",
        figures=("spectra",),
    ),
    lab.Claim(
        id="A-4-shortcut", title="With shortcuts the kernel drifts less", group="experiments",
        source=f"{LLY}, abstract: why residual networks do better than fully connected ones",
        statement="At the same width and time, the tangent kernel of the residual network has "
        "moved less than that of the fully connected one.",
        requests=WIDTHS,
        parts=(
            lab.Part("logarithm of the connected network's drift over the residual one's, at the "
                     "greatest width", _ratio, lab.above(0.0, resolution=0.1)),
        ),
        faults=(lab.Fault("the networks change places", lab.changed(_other_network)),),
        does_not_show="That the shortcut is the reason: the layers' scales differ too.",
        figures=("drift",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((DRIFT,), CLAIMS, (
    lab.Figure("drift", "The kernel's drift over the width", WIDTHS, _draw_drift),
    lab.Figure("spectra", "The kernel's spectrum along training", WIDTHS, _draw_spectra),
))  # fmt: skip
