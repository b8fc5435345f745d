"""`bounds`: the constants that the paper's bounds need, over what they may depend on."""

import functools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain.gaussian import ESTIMATORS, step
from whytrain.lab import Experiment, Runs, setting
from whytrain.landscapes import SharedFilter, Weights
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.setup import ROOT, THEOREM, TeacherSettings, told

RADII = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
DISTANCES = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
GAPS = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
INSIDE = 0.3  # the corrected Lipschitz bound holds for angles this far from 0 and pi
SPREADS = (0.0, 0.1, 1.0)  # of the output weights about the settled ones


@dataclass(frozen=True, kw_only=True)
class BoundSettings(TeacherSettings):
    """The teacher, and how far to look."""

    m: int = setting(4, "number of patches", low=2, high=10_000)
    tries: int = setting(300, "random places a run and scale", low=10)


def compute(settings: BoundSettings, runs: Runs) -> xr.Dataset:
    """Largest ratios, a run, over places drawn at random.

    `NAME_ratio` over `radius`: `|E g|^2 / (|f_v|^2 + <E g, f_w>)` with weights of length 3 at most.
    `law_error`: its distance from the closed form on settled weights, relative. `jump` and
    `inside` over `distance`: how far the true gradient moves between two places so far apart, over
    that distance; across angle 0, and at angles inside. `NAME_blowup` over `gap`: the first ratio
    near the spurious minimum.
    """
    found = runs.draw(_constants, settings.output_star, settings.tries, together=4)
    dims = {"ratio": "radius", "jump": "distance", "inside": "distance", "blowup": "gap"}
    data: dict = {}
    for name, values in found.items():
        along = dims.get(name.rsplit("_", 1)[-1])
        data[name] = (("run", along) if along else ("run",), values)
    return xr.Dataset(data, {"radius": RADII, "distance": DISTANCES, "gap": GAPS})


@functools.partial(jax.jit, static_argnums=2)
def _constants(keys: Array, star: Array, tries: int) -> dict[str, Array]:
    return jax.vmap(lambda key: _constants_of_one(key, star, tries))(keys)


def _constants_of_one(key: Array, star: Array, tries: int) -> dict[str, Array]:
    for_ratios, for_jumps, for_length = jax.random.split(key, 3)
    return (
        _ratios(star, tries, for_ratios)
        | _jumps(star, tries, for_jumps)
        | _near_spurious(star, for_length)
    )


def _network(star: Array, name: str) -> SharedFilter:
    return SharedFilter(jnp.array([1.0, 0.0]), star, step(ESTIMATORS[name]))


def _student(v: Array, theta: Array, r: Array) -> Weights:
    return Weights(r * jnp.stack([jnp.cos(theta), jnp.sin(theta)]), v)


def _settled(star: Array, theta: Array) -> Array:
    kappa = 1 - 2 * theta / math.pi
    return kappa * star + jnp.sum(star) * (1 - kappa) / (len(star) + 1)


def _ratio(star: Array, name: str, student: Weights) -> Array:
    """`|E g|^2 / (|f_v|^2 + <E g, f_w>)`."""
    ws = jnp.array([1.0, 0.0])
    slope = _network(star, name).grad(student)
    true = printed.filter_gradient(student.output, star, student.filter, ws)
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
        return jax.vmap(lambda v, t: _ratio(star, name, _student(v, t, r)))(v, theta)[which]

    everything = jnp.arange(tries)
    curve = jnp.arange(0, tries, len(SPREADS))  # exactly settled weights
    found = {
        f"{name}_ratio": jax.vmap(lambda r, name=name: jnp.max(at(name, r, everything)))(
            jnp.asarray(RADII)
        )
        for name in ("relu", "clipped_relu")
    }
    t = theta[curve]
    kappa = 1 - 2 * t / math.pi
    law = ROOT / 2 * ((kappa - jnp.cos(t)) ** 2 + jnp.sin(t) ** 2) / jnp.sin(t)
    # Away from where both sides of the quotient vanish: there its digits are rounding.
    told = (jnp.abs(v[curve] @ star) > 0.05) & (jnp.sin(t) > 0.05)
    errors = jax.vmap(
        lambda r: jnp.max(jnp.where(told, jnp.abs(at("relu", r, curve) / (r * law) - 1), 0.0))
    )(jnp.asarray(RADII))
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
        return _ratio(star, name, _student(_settled(star, theta), theta, r))

    return {
        f"{name}_blowup": jax.vmap(lambda gap, name=name: at(name, gap))(jnp.asarray(GAPS))
        for name in THEOREM
    }


def summarize(dataset: xr.Dataset, settings: BoundSettings) -> dict:
    """The largest value of everything, over the scale it depends on."""
    del settings
    scales = {name: dataset[name].values.tolist() for name in ("radius", "distance", "gap")}
    most = {str(name): _most(values.values) for name, values in dataset.data_vars.items()}
    return scales | most


def _most(values: np.ndarray) -> float | str | list[float | str]:
    return told(values) if values.ndim == 1 else [told(column) for column in values.T]


BOUNDS = Experiment(
    name="bounds",
    doc="the constants of the paper's bounds, over the scales on which they may depend",
    settings=BoundSettings,
    compute=compute,
    summarize=summarize,
    runs=16,
    block=256,
)
