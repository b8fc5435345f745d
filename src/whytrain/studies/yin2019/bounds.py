"""Is the coarse gradient bounded by the true one, and that Lipschitz? Constants over scales."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.gaussian import ESTIMATORS, step
from whytrain.landscapes import SharedFilter, Weights
from whytrain.report import figures as draw
from whytrain.report.numbers import number
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.setup import (
    OWN,
    PUBLISHED,
    ROOT,
    THEOREM,
    YIN,
    TeacherSettings,
    series,
)

RADII = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
DISTANCES = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
GAPS = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
INSIDE = 0.3  # the corrected Lipschitz bound holds for angles this far from 0 and pi
FAR = {"radius": (30.0, np.inf), "distance": (0.0, 1e-2), "gap": (0.0, 1e-2)}  # judged there
SPREADS = (0.0, 0.1, 1.0)  # of the output weights about the settled ones


@dataclass(frozen=True, kw_only=True)
class BoundSettings(TeacherSettings):
    """The teacher, and how far to look."""

    m: int = lab.setting(4, "number of patches", low=2, high=10_000)
    tries: int = lab.setting(300, "random places a run and scale", low=10)


def compute(settings: BoundSettings, runs: lab.Runs) -> xr.Dataset:
    """Largest ratios, a run, over places drawn at random.

    `NAME_ratio` over `radius`: `|E g|^2 / (|f_v|^2 + <E g, f_w>)` with weights of length 3 at most.
    `law_error`: its distance from the closed form on settled weights, relative. `jump` and
    `inside` over `distance`: how far the true gradient moves between two places so far apart, over
    that distance; across angle 0, and at angles inside. `NAME_blowup` over `gap`: the first ratio
    near the spurious minimum.
    """
    constants = jax.vmap(functools.partial(_constants, tries=settings.tries), (0, None))
    found = runs.draw(jax.jit(constants), settings.output_star, together=4)
    along = {"ratio": ["radius"], "jump": ["distance"], "inside": ["distance"], "blowup": ["gap"]}
    return xr.Dataset(
        {k: (("run", *along.get(k.split("_")[-1], ())), values) for k, values in found.items()},
        {"radius": RADII, "distance": DISTANCES, "gap": GAPS},
    )


def _constants(key: Array, star: Array, tries: int) -> dict[str, Array]:
    """Those of one run."""
    for_ratios, for_jumps, for_length = jax.random.split(key, 3)
    return (
        _ratios(star, tries, for_ratios)
        | _jumps(star, tries, for_jumps)
        | _near_spurious(star, for_length)
    )


def _settled(star: Array, theta: Array) -> Array:
    kappa = 1 - 2 * theta / math.pi
    return kappa * star + jnp.sum(star) * (1 - kappa) / (len(star) + 1)


def _ratio(star: Array, name: str, v: Array, theta: Array, r: Array) -> Array:
    """`|E g|^2 / (|f_v|^2 + <E g, f_w>)` at a filter of length r and this angle."""
    w, ws = r * jnp.stack([jnp.cos(theta), jnp.sin(theta)]), jnp.array([1.0, 0.0])
    slope = SharedFilter(ws, star, step(ESTIMATORS[name])).grad(Weights(w, v))
    true = printed.filter_gradient(v, star, w, ws)
    below = jnp.sum(slope.output**2) + jnp.sum(slope.filter * true)
    return jnp.sum(slope.filter**2) / below


def _ratios(star: Array, tries: int, key: Array) -> dict[str, Array]:
    """The largest ratio at each radius, over angles and output weights; and the law."""
    noise = jax.random.normal(key, (tries, len(star) + 1))
    theta = math.pi * jax.scipy.special.ndtr(noise[:, -1])
    theta = jnp.clip(theta, 1e-3, math.pi - 1e-3)
    spread = jnp.asarray(SPREADS)[jnp.arange(tries) % len(SPREADS)]
    v = jax.vmap(lambda t: _settled(star, t))(theta) + spread[:, None] * noise[:, :-1]
    length = jnp.sqrt(jnp.sum(v**2, axis=1, keepdims=True))
    v = v * jnp.minimum(1.0, 3 / length)

    def at(name: str, r: Array, which: Array) -> Array:
        return jax.vmap(lambda v, t: _ratio(star, name, v, t, r))(v, theta)[which]

    everything, radii = jnp.arange(tries), jnp.asarray(RADII)
    curve = jnp.arange(0, tries, len(SPREADS))  # exactly settled weights
    found = {
        f"{name}_ratio": jax.vmap(lambda r, name=name: jnp.max(at(name, r, everything)))(radii)
        for name in ("relu", "clipped_relu")
    }
    t = theta[curve]
    kappa = 1 - 2 * t / math.pi
    law = ROOT / 2 * ((kappa - jnp.cos(t)) ** 2 + jnp.sin(t) ** 2) / jnp.sin(t)
    # Away from where both sides of the quotient vanish: there its digits are rounding.
    told = (jnp.abs(v[curve] @ star) > 0.05) & (jnp.sin(t) > 0.05)
    errors = jax.vmap(
        lambda r: jnp.max(jnp.where(told, jnp.abs(at("relu", r, curve) / (r * law) - 1), 0.0))
    )(radii)
    return found | {"law_error": jnp.max(errors)}


def _jumps(star: Array, tries: int, key: Array) -> dict[str, Array]:
    """Differences of the true gradient over the distance of two places, at the worst of many."""
    noise = jax.random.normal(key, (tries, len(star) + 4))
    v = star + noise[:, : len(star)]
    ws = jnp.array([1.0, 0.0])

    def slope(v: Array, w: Array) -> Array:
        theta = jnp.arctan2(jnp.abs(w[1]), w[0])
        return jnp.concatenate([
            printed.filter_gradient(v, star, w, ws), printed.output_gradient(v, star, theta)
        ])  # fmt: skip

    def ratio(v: Array, one: Array, other: Array, distance: Array) -> Array:
        return jnp.sqrt(jnp.sum((slope(v, one) - slope(v, other)) ** 2)) / distance

    def across(distance: Array) -> Array:
        one, other = jnp.array([1.0, distance / 2]), jnp.array([1.0, -distance / 2])
        return jnp.max(jax.vmap(lambda v: ratio(v, one, other, distance))(v))

    theta = INSIDE + (math.pi - 2 * INSIDE) * jax.scipy.special.ndtr(noise[:, -1])
    turn = jnp.arctan2(noise[:, -2], noise[:, -3])

    def inside(distance: Array) -> Array:
        def one(v: Array, theta: Array, turn: Array) -> Array:
            w = jnp.stack([jnp.cos(theta), jnp.sin(theta)])
            moved = w + distance * jnp.stack([jnp.cos(turn), jnp.sin(turn)])
            return ratio(v, w, moved, distance)

        return jnp.max(jax.vmap(one)(v, theta, turn))

    distances = jnp.asarray(DISTANCES)
    return {"jump": jax.vmap(across)(distances), "inside": jax.vmap(inside)(distances)}


def _near_spurious(star: Array, key: Array) -> dict[str, Array]:
    """The ratio on settled weights at angles `pi - gap`, for filters of a random length."""
    r = jnp.exp(0.3 * jax.random.normal(key, ()))

    def at(name: str, gap: Array) -> Array:
        theta = math.pi - gap
        return _ratio(star, name, _settled(star, theta), theta, r)

    return {
        f"{name}_blowup": jax.vmap(lambda gap, name=name: at(name, gap))(jnp.asarray(GAPS))
        for name in THEOREM
    }


BOUNDS = lab.Experiment(
    "bounds",
    "the constants of the paper's bounds, over the scales on which they may depend",
    BoundSettings, compute, lab.summarize, runs=16, block=256,
)  # fmt: skip

SIZES = {
    "quick": {"runs": 8, "alignment": 0.3}, "paper": {"runs": 64, "alignment": (0.1, 0.3, 0.45)},
}  # fmt: skip
TEACHERS = BOUNDS.grid(SIZES)
WITH_SPURIOUS = BOUNDS.grid(SIZES, where=lambda settings: settings.alignment < 0.5)


def worst(cells: lab.Cells, name: str) -> np.ndarray:
    """The largest value of all runs at every scale."""
    return np.max([cell.data[name].values.max(axis=0) for cell in cells], axis=0)


def steeper(name: str, over: str, power: float) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: the values have another power of the scale in them."""
    return lab.changed(
        lambda cell: cell.assign(**{name: cell.data[name].values * cell.data[over].values ** power})
    )


def _growth(
    name: str, over: str, power: float, what: str, faults: dict[str, float]
) -> dict[str, Any]:
    """The part, note and faults of a claim that the largest value goes like a power of the scale.

    The exponents between neighboring scales, where other terms are gone, are exact numbers, whose
    range is the interval. The faults are the powers that are in the values besides.
    """

    def exponents(cells: lab.Cells) -> lab.Estimate:
        scale, (low, high) = cells[0].data[over].values, FAR[over]
        far = (scale >= low) & (scale <= high)
        x, y = np.log(scale[far]), np.log(worst(cells, name)[far])
        local = np.diff(y) / np.diff(x)
        mean = float((y[-1] - y[0]) / (x[-1] - x[0]))
        return lab.Estimate(mean, float(local.min()), float(local.max()), None, cells.runs)

    def note(cells: lab.Cells) -> str:
        values, scale = worst(cells, name), cells[0].data[over].values
        ends = [f"${number(values[i], 3)}$ at ${number(scale[i])}$" for i in (0, -1)]
        return f"largest values: {' and '.join(ends)}"

    planted = tuple(lab.Fault(words, steeper(name, over, p)) for words, p in faults.items())
    part = lab.Part(f"exponent of {what}", exponents, lab.equals(power, 0.1))
    return {"parts": (part,), "faults": planted, "note": note}


def _over_length(cells: lab.Cells) -> lab.Estimate:
    scale = np.maximum(1.0, cells[0].data.radius.values)
    return lab.largest(worst(cells, "relu_ratio") / scale)


_SCALES = "Places other than the random ones that were tried: a larger ratio may be elsewhere."

CLAIMS = (
    lab.Claim(
        id="Y-L3", title="The true gradient is Lipschitz", group="caveats",
        source=f"{YIN}, Lemma 3",
        statement="For $‖v‖ ≤ C_v$ and $‖w‖ ≥ c_w$ the true gradient is Lipschitz: the ratio of "
        "its change to the distance stays bounded as the distance goes to 0.",
        requests=TEACHERS,
        **_growth("jump", "distance", 0.0, "the ratio over the distance, across $θ = 0$",
                  {"the gradient does not jump across $θ = 0$": 1.0}),
        does_not_show="Places that are not on both sides of $θ = 0$: for them see the "
        "correction.",
        expected="contradicted",
    ),
    lab.Claim(
        id="Y-L3-corrected", title="It is Lipschitz away from the kinks", group="caveats",
        source=OWN,
        statement="It is Lipschitz where the angle also stays within $[δ, π − δ]$.",
        requests=TEACHERS,
        **_growth("inside", "distance", 0.0, "the ratio over the distance, $δ = 0.3$",
                  {"the ratio grows like the distance to the −0.12": -0.12}),
        does_not_show=_SCALES,
    ),
    lab.Claim(
        id="Y-L5b", title="It is bounded by the true gradient", group="caveats",
        source=f"{YIN}, Lemma 5",
        statement=r"$‖E g_{\text{relu}}‖² ≤ A (‖\frac{∂f}{∂v}‖² + ⟨E g_{\text{relu}}, "
        r"\frac{∂f}{∂w}⟩)$ with $A$ depending on $C_v ≥ ‖v‖$ only.",
        requests=TEACHERS,
        **_growth("relu_ratio", "radius", 0.0, "the needed $A$ over $‖w‖$",
                  {"the needed $A$ does not grow with $‖w‖$": -1.0}),
        does_not_show="Filters whose length is bounded: for them see the correction.",
        expected="contradicted",
        figures=("bounds",),
    ),
    lab.Claim(
        id="Y-L5b-corrected", title="It is, if the filter's length is bounded", group="caveats",
        source=OWN,
        statement="The same with $A$ depending on $C_v$ and on $C_w ≥ ‖w‖$ (here: $A = 20 "
        "max(1, C_w)$ at $C_v = 3$).",
        requests=TEACHERS,
        parts=(lab.Part("largest needed $A$ over $max(1, ‖w‖)$, for $‖v‖ ≤ 3$ and $‖w‖$ from 1 "
                        "to 1000",
                        _over_length, lab.at_most(20.0)),),
        faults=(lab.Fault("the needed $A$ grows like $‖w‖$ to the 1.5",
                          steeper("relu_ratio", "radius", 0.5)),),
        does_not_show=_SCALES,
        figures=("bounds",),
    ),
    lab.Claim(
        id="Y-L8b", title="The identity's is not bounded by the true gradient", group="dynamics",
        source=f"{YIN}, Lemma 8",
        statement=r"$\frac{‖E g_{\text{id}}‖²}{‖∂f/∂v‖² + ⟨E g_{\text{id}}, ∂f/∂w⟩} → ∞$ "
        "towards a spurious minimum, like $1/(π − θ)$.",
        requests=WITH_SPURIOUS,
        **_growth("identity_blowup", "gap", -1.0, "the ratio over $π − θ$",
                  {"it grows like $1/(π − θ)$ to the 0.88": 0.12,
                   "it grows like $1/(π − θ)$ to the 1.12": -0.12}),
        does_not_show="Approaches to the spurious minimum with other output weights than the best.",
    ),
    lab.Claim(
        id="Y-PUB3", title="The clipped ReLU's is bounded by the true gradient",
        group="dynamics", source=PUBLISHED,
        statement=r"$‖E g_{\text{crelu}}‖² ≤ A (‖\frac{∂f}{∂v}‖² + ⟨E g_{\text{crelu}}, "
        r"\frac{∂f}{∂w}⟩)$, here even with $A$ independent of $‖w‖$.",
        requests=TEACHERS,
        **_growth("clipped_relu_ratio", "radius", 0.0, "the needed $A$ over $‖w‖$",
                  {"the needed $A$ grows like $‖w‖$ to the 0.12": 0.12}),
        does_not_show=_SCALES,
        figures=("bounds",),
    ),
    lab.Claim(
        id="Y-O7", title="The exact constant on the curve of best weights", group="dynamics",
        source=OWN,
        statement="With output weights at their best the ratio of Lemma 5 is exactly "
        r"$\frac{\sqrt{2π}}{2} ‖w‖ \frac{(κ − cos θ)² + sin² θ}{sin θ}$.",
        requests=TEACHERS,
        parts=(lab.identity("law_error", tolerance=1e-8, what="largest relative error"),),
        faults=(lab.Fault("the law is off by $2·10⁻⁸$", lab.added("law_error", 2e-8)),),
        does_not_show="Angles with $sin θ < 0.05$ or $|vᵀv*| < 0.05$, where both sides vanish.",
        figures=("bounds",),
    ),
)  # fmt: skip


def _drawn(cells: lab.Cells):
    radius = cells[0].data.radius.values
    measured = [
        series(name, radius, worst(cells, f"{name}_ratio")) for name in ("relu", "clipped_relu")
    ]
    law = draw.Series(
        radius, math.sqrt(math.pi / 2) * radius, "$√(π/2)‖w‖$", color="ink", line="--", width=1.0
    )  # fmt: skip
    figure = draw.lines(
        [*measured, law],
        x_label="filter length $‖w‖$",
        y_label="constant $A$ that is needed",
        log="xy",
    )
    return figure, (
        "The least $A$ in $‖E g‖² ≤ A (‖∂f/∂v‖² + ⟨E g, ∂f/∂w⟩)$ over random places with $‖v‖ ≤ "
        "3$. For the ReLU it grows with the filter, so that no $A$ that depends on $‖v‖$ alone "
        "will do, as Lemma 5 has it; an upper bound on $‖w‖$ mends that. For the clipped ReLU one "
        "$A$ serves all."
    )


FIGURE = lab.Figure("bounds", "The constant of Lemma 5", TEACHERS, _drawn)

TOPIC = lab.Topic((BOUNDS,), CLAIMS, (FIGURE,))
