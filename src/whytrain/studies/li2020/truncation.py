"""How well does the hierarchy do if it is cut off at some order?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.kernels.higher import kernels
from whytrain.kernels.solve import follow, truncated
from whytrain.report import figures as draw
from whytrain.studies.li2020.setup import (
    HY,
    NETWORKS,
    TOGETHER,
    NetworkSettings,
    compiled,
    grown,
    mean_line,
    power,
    powers,
)  # fmt: skip

ORDERS = (2, 3, 4)
_TIMES = 6
_LOOKS = (0, _TIMES - 1)  # times at which the largest entry of K4 is looked up


@dataclass(frozen=True, kw_only=True)
class TruncationSettings(NetworkSettings):
    """Few points, and a time to end."""

    examples: int = lab.setting(3, "training examples n", low=2, high=12)
    inputs: int = lab.setting(8, "length d of an input", low=2, high=100_000)
    time: float = lab.setting(1.0, "time at which flows end", low=0, exclusive=True)


def compute(settings: TruncationSettings, runs: lab.Runs) -> xr.Dataset:
    """Errors of the flows of orders 2, 3 and 4, sizes of the kernels, and a bound made of them."""
    times = np.linspace(0, settings.time, _TIMES)
    true = runs.draw(partial(_truths, settings), times, together=TOGETHER)
    y, outputs, tensors = true["y"], true["outputs"], [true[f"K{order}"] for order in ORDERS]
    start = [each[:, 0] for each in tensors]
    with jax.enable_x64(True):
        cuts = [
            [each * (order <= most) for order, each in zip(ORDERS, start, strict=True)]
            for most in ORDERS
        ]
        flows = [np.asarray(_cut(cut, outputs[:, 0], y, times)) for cut in cuts]
    risk = [np.mean((each - y[:, None]) ** 2, axis=2) / 2 for each in (outputs, *flows)]
    numbers = {
        f"error_{order}": np.sqrt(np.mean((flow - outputs) ** 2, axis=2)).max(axis=1)
        for order, flow in zip(ORDERS, flows, strict=True)
    } | {
        f"K{order}": np.sqrt(np.mean(each**2, axis=tuple(range(1, each.ndim))))
        for order, each in zip(ORDERS, start, strict=True)
    }
    numbers["bound"] = _bound(outputs[:, 0] - y, start[0], start[1], tensors[2], settings.time)
    return xr.Dataset(
        {name: ("run", values) for name, values in numbers.items()}
        | {"risk": (("run", "order", "time"), np.stack(risk, axis=1))},
        {"time": times, "order": ["true", *map(str, ORDERS)]},
    )


@compiled
def _truths(settings: TruncationSettings, keys: Array, times: Array) -> dict[str, Array]:
    """The true flow, and the kernels at some times of it."""
    model = settings.model

    def one(key: Array) -> dict[str, Array]:
        params, x, y = settings.draw(key)
        _, (outputs, path) = follow(model, params, x, y, times, lambda p: (model(p, x), p))
        looks = jax.tree.map(lambda leaf: leaf[jnp.array(_LOOKS)], path)
        tensors = jax.lax.map(lambda there: kernels(model, there, x, 4), looks)
        named = {f"K{order}": each for order, each in zip(ORDERS, tensors, strict=True)}
        return {"y": y, "outputs": outputs, **named}

    return jax.lax.map(one, keys)


@jax.jit
def _cut(tensors: list[Array], start: Array, y: Array, times: Array) -> Array:
    """The outputs along the truncated flow, a row a run.

    It has order 4, or 3 where `K4` is 0, or 2 where `K3` is 0 too: one program for all of them.
    """
    runs = tuple(tensors), start, y
    return jax.lax.map(lambda run: truncated(*run, times).outputs, runs)


def _bound(
    residual: np.ndarray, K2: np.ndarray, K3: np.ndarray, K4: np.ndarray, T: float
) -> np.ndarray:
    """The bound of A-8 on the error of order 2, with largest entries B3 of K3 and B4 of K4."""
    R, n = np.sqrt(np.mean(residual**2, axis=1)), residual.shape[1]
    B3, B4 = (np.abs(each).max(axis=tuple(range(1, each.ndim))) for each in (K3, K4))
    least = np.maximum(np.linalg.eigvalsh(K2)[:, 0], 1e-300)  # of more examples than parameters 0
    slow = (R**2 * B3 * T + R**3 * B4 * T**2 / 2) * np.minimum(T, n / least)
    return np.minimum(slow, R**2 * B3 * T**2 / 2 + R**3 * B4 * T**3 / 6)


TRUNCATION = lab.Experiment(
    name="truncation",
    version=2,
    doc="flows of the hierarchy cut off at orders 2, 3 and 4, beside the true one",
    settings=TruncationSettings,
    compute=compute,
    runs=8,
    block=128,
)
WIDTHS = TRUNCATION.grid(
    {
        "quick": {"runs": 96, "width": (32, 128)},
        "paper": {"runs": 40, "width": (32, 64, 128, 256)},
    },
    network=tuple(NETWORKS),
)


def _gain(network: str) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """By how much each order does better than the one before, at the greatest width."""

    def gains(cells: lab.Cells) -> list[lab.Estimate]:
        chosen = cells.sel(network=network, width=max(cells.by("width")))
        logs = [np.log(chosen.pooled(f"error_{order}")) for order in ORDERS]
        return [lab.estimate_mean(worse - better) for worse, better in pairwise(logs)]

    return gains


def _draw_errors(cells: lab.Cells) -> tuple:
    chosen = cells.sel(network="residual")
    names = [f"error_{order}" for order in ORDERS]
    series = [
        draw.Series(**mean_line(chosen, name), label=f"order {order}", color=color, marker="o")
        for name, order, color in zip(names, ORDERS, draw.sequence(3), strict=True)
    ]
    figure = draw.lines(
        series, x_label="width $m$", y_label="largest error of the outputs (RMS)", log="xy",
        x_ticks=list(cells.by("width")),
    )  # fmt: skip
    slopes = [f"$m^{{{power(chosen, name).value:.1f}}}$" for name in names]
    time = cells[0].settings.time
    return figure, (
        "How far the flow of the hierarchy cut off at an order is from the true one, up to time "
        f"{time:g}: residual network, means with 95 % intervals. Orders 2, 3 and 4 err like "
        f"{', '.join(slopes)}: even orders are what counts."
    )


def _draw_risk(cells: lab.Cells) -> tuple:
    cell = cells.sel(network="connected", width=min(cells.by("width")))[0]
    true, *cut = np.moveaxis(cell.data.risk.values[:, :, 1:], 1, 0)  # at time 0 all are alike
    series = [
        draw.Series(cell.data.time.values[1:], np.median(_off(one, true), axis=0), f"order {order}",
                    color=color, marker="o")
        for order, one, color in zip(ORDERS, cut, draw.sequence(3), strict=True)
    ]  # fmt: skip
    figure = draw.lines(series, x_label="time $t$", y_label="relative error of the loss", log="y")
    return figure, (
        "How far the loss of the flow cut off at an order is from that of the true flow, as a "
        f"share of the latter: fully connected network of width {cell.settings.width}, medians "
        f"over {cell.runs} runs."
    )


def _off(loss: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The relative error; infinite for a flow that blew up."""
    found = np.abs(loss / true - 1)
    return np.where(np.isfinite(found), found, np.inf)


CLAIMS = (
    lab.Claim(
        id="A-3", title="Higher kernels are smaller", group="dynamics",
        source=f"{HY}, bounds on the kernels",
        statement="At the start the entries of $K_r$ are $O(m^{1−r/2})$ up to logarithms: those "
        "of $K_2$ are $O(1)$, of $K_3$ $O(m^{−1/2})$ and, as $K_3$ is odd, $O(1/m)$, of $K_4$ "
        "$O(1/m)$.",
        requests=WIDTHS,
        parts=(
            lab.Part("power of $m$ in $K_2$", powers("K2"), lab.equals(0.0, 0.2, resolution=0.1)),
            lab.Part("power of $m$ in $K_3$", powers("K3"), lab.below(-0.5, resolution=0.1)),
            lab.Part("power of $m$ in $K_4$", powers("K4"), lab.below(-0.7, resolution=0.1)),
        ),
        faults=(
            lab.Fault("$K_3$ does not fall", grown("K3", 1.0)),
            lab.Fault("$K_4$ does not fall", grown("K4", 1.0)),
            lab.Fault("$K_2$ goes like $m^{1/2}$", grown("K2", 0.5)),
        ),
        does_not_show="The powers of $log m$, and kernels later in training.",
    ),
    lab.Claim(
        id="A-7", title="Cut off at order p it errs like $m^{−p/2}$", group="dynamics",
        source=f"{HY}, Theorem 2.6, for even p",
        statement="Up to a fixed time the outputs of the flow cut off at order $p$ are off by "
        "$O(m^{−p/2})$, for even $p$; and each order does better than the one before.",
        requests=WIDTHS,
        parts=(
            lab.Part("power of $m$ in the error of order 2", powers("error_2"),
                     lab.below(-0.5, resolution=0.1)),
            lab.Part("power of $m$ in the error of order 4, residual network",
                     powers("error_4", "residual"), lab.below(-1.0, resolution=0.1)),
            lab.Part("logarithm of the error over that of the next order, residual network, "
                     "greatest width", _gain("residual"), lab.above(0.0, resolution=0.1)),
        ),
        faults=(
            lab.Fault("the error of order 2 does not fall", grown("error_2", 1.0)),
            lab.Fault("the error of order 4 does not fall", grown("error_4", 2.0)),
            lab.Fault("order 3 errs 20 times as much", lab.scaled("error_3", 20)),
        ),
        does_not_show="Long times: from order 3 on nothing keeps a truncated flow from blowing up, "
        "and for narrow networks it does.",
        figures=("truncation", "loss-by-order"),
    ),
    lab.Claim(
        id="A-8", title="A bound on the frozen kernel's error", group="dynamics",
        source="derived here, after a remark on Theorem 2.6",
        statement="With $B_3 = max |K_3|$ at the start, $B_4 = max |K_4|$ up to $T$, $R$ the "
        "RMS residual at the start and $λ$ the least eigenvalue of $K_2$, the RMS error of order "
        "2 is at most $min((R² B_3 T + R³ B_4 T²/2) min(T, n/λ), R² B_3 T²/2 + R³ B_4 T³/6)$.",
        requests=WIDTHS,
        parts=(
            lab.Part("largest error of order 2 over the bound", lambda cells: lab.largest(
                cells.pooled("error_2") / cells.pooled("bound")), lab.at_most(1.0)),
        ),
        faults=(
            lab.Fault("the bound is 1/10,000", lab.altered("bound", lambda bound: bound / 1e4)),
        ),
        does_not_show="That it is tight: it is not, by one or two orders of magnitude. $B_4$ "
        "was looked up at the start and the end.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((TRUNCATION,), CLAIMS, (
    lab.Figure("truncation", "The error of each order", WIDTHS, _draw_errors),
    lab.Figure("loss-by-order", "The error of the loss at each order", WIDTHS, _draw_risk),
))  # fmt: skip
