"""`landscape`: the closed forms at random points, beside all that they can be held against."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import xarray as xr
from jaxtyping import Array

from whytrain.gaussian import ESTIMATORS, StepQuadrature, step
from whytrain.lab import Experiment, Runs, Settings, setting
from whytrain.landscapes import SharedFilter, Weights, angle_between
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.setup import ROOT, THEOREM, told

TOGETHER = 8  # points at a time: one shape, and bounded memory


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings(Settings):
    """A size of network and the effort to spend on each random point."""

    m: int = setting(6, "number of patches", low=2, high=10_000)
    n: int = setting(4, "length of a patch", low=2, high=10_000)
    samples: int = setting(20_000, "Monte Carlo samples a point", low=2)
    steps: int = setting(1000, "steps of descent, full beside reduced", low=1)
    step_size: float = setting(0.02, "step size of that descent", low=0, exclusive=True)


def compute(settings: LandscapeSettings, runs: Runs) -> xr.Dataset:
    """One random student and teacher a run.

    `..._z`: Monte Carlo less closed form, in standard errors; `..._size`: the closed form in the
    same units, which says how small an error could be seen. `..._error`: largest difference from
    what the paper prints, from autodiff, differences or quadrature. `..._inner`: the inner product
    of coarse and true gradient of the filter. `..._reduction`: full beside reduced descent.
    """
    found: dict = {}
    for check, together in ((_sampled, TOGETHER), (_exact, TOGETHER), (_reduced, 64)):
        found |= runs.draw(_of_each, check, settings, together=together)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


@functools.partial(jax.jit, static_argnums=(1, 2))
def _of_each(keys: Array, check: Callable, settings: LandscapeSettings) -> dict[str, Array]:
    return jax.vmap(lambda key: check(settings, key))(keys)


def _point(settings: LandscapeSettings, key: Array) -> tuple[Array, Array, Weights]:
    """A random teacher and a random student, whose filter's length is anything near one."""
    m, n = settings.m, settings.n
    normal = jax.random.normal(key, (2 * (m + n) + 1,))
    ws, w, vs, v, scale = jnp.split(normal, [n, 2 * n, 2 * n + m, 2 * (n + m)])
    unit = w / jnp.sqrt(jnp.sum(w**2))
    length = jnp.exp(0.7 * scale[0])
    ws, vs = ws / jnp.sqrt(jnp.sum(ws**2)), vs / math.sqrt(m)
    return ws, vs, Weights(length * unit, 0.5 * v / math.sqrt(m) + 0.3 * vs)


def _networks(ws: Array, vs: Array) -> dict[str, SharedFilter]:
    return {name: SharedFilter(ws, vs, step(ESTIMATORS[name])) for name in THEOREM}


def _sampled(settings: LandscapeSettings, key: Array) -> dict[str, Array]:
    """Loss and gradients beside Monte Carlo, the gradients along one random direction."""
    for_point, for_patches, for_direction = jax.random.split(key, 3)
    ws, vs, student = _point(settings, for_point)
    networks = _networks(ws, vs)
    one = networks["relu"]
    patches = one.sample(for_patches, settings.samples)
    before = patches @ student.filter
    hidden, target = one.activation.forward(before), one.teacher(patches)
    residual = hidden @ student.output - target
    towards = jax.random.normal(for_direction, (len(ws) + len(vs),))
    into, out = towards[: len(ws)], towards[len(ws) :]
    found = {
        **_compared("loss", one.loss(student), 0.5 * residual**2),
        **_compared("zero", _at_zero(vs), 0.5 * target**2),
        **_compared("output", one.grad(student).output @ out, residual * (hidden @ out)),
    }
    for name, network in networks.items():
        back = network.activation.backward(before) * student.output
        drawn = residual * jnp.sum(back * (patches @ into), axis=1)
        found |= _compared(name, network.grad(student).filter @ into, drawn)
    return found


def _exact(settings: LandscapeSettings, key: Array) -> dict[str, Array]:
    """Everything that can be compared to rounding."""
    ws, vs, student = _point(settings, jax.random.split(key, 3)[0])
    w, v = student
    networks = _networks(ws, vs)
    theta, r = angle_between(w, ws), jnp.sqrt(jnp.sum(w**2))
    overlap, sin = jnp.sum(v * vs), jnp.sin(theta)
    slope = printed.filter_gradient(v, vs, w, ws)
    by_output = printed.output_gradient(v, vs, theta)
    one = networks["relu"]
    kappa = 1 - 2 * theta / math.pi
    identity = 4 * jnp.sum(v * by_output) + (1 + kappa) * overlap
    found = {
        "loss_error": _apart(one.loss(student), printed.loss(v, vs, theta)),
        "output_error": _apart(one.grad(student).output, by_output),
        "difference_error": _differences(one, student, slope, by_output),
        "shrink_error": _apart(identity, printed.shrink(v, vs)),
    }
    passed = {
        "identity": 1.0, "relu": 0.5,
        "clipped_relu": 0.5 * jax.scipy.special.erf(1 / (math.sqrt(2) * r * sin)),
    }  # fmt: skip
    for name, network in networks.items():
        coarse = network.grad(student).filter
        derivative = ESTIMATORS[name].derivative
        other = SharedFilter(ws, vs, StepQuadrature(derivative, ESTIMATORS[name].kinks))
        inner = jnp.sum(coarse * slope)
        stated = sin * overlap**2 * passed[name] / (ROOT * 2 * math.pi * r)
        found |= {
            f"{name}_printed_error": _apart(coarse, printed.COARSE[name](v, vs, w, ws)),
            f"{name}_quadrature_error": _apart(coarse, other.grad(student).filter),
            f"{name}_inner": inner,
            f"{name}_inner_error": _apart(inner, stated),
        }
    return found


def _differences(network: SharedFilter, student: Weights, slope: Array, out: Array) -> Array:
    """Central differences of the loss, of fourth order, against the printed gradients."""
    flat, size = jnp.concatenate(student), len(student.filter)
    h = 1e-4 * jnp.minimum(1.0, jnp.sqrt(jnp.sum(student.filter**2)))

    def loss(x: Array) -> Array:
        return network.loss(Weights(x[:size], x[size:]))

    def along(direction: Array) -> Array:
        moves = jnp.array([-2.0, -1.0, 1.0, 2.0])[:, None] * h * direction
        far_left, left, right, far_right = jax.vmap(loss)(flat + moves)
        return (8 * (right - left) - (far_right - far_left)) / (12 * h)

    return _apart(jax.vmap(along)(jnp.eye(len(flat))), jnp.concatenate([slope, out]))


def _reduced(settings: LandscapeSettings, key: Array) -> dict[str, Array]:
    """Full descent beside reduced descent, and how short the filter became on the way."""
    ws, vs, student = _point(settings, jax.random.split(key, 3)[0])
    size, found = settings.step_size, {}
    for name, network in _networks(ws, vs).items():
        reduction = network.in_plane()

        def move(_: Array, both: tuple, network=network, reduction=reduction) -> tuple:
            full, order, shortest = both
            full = network.plain_step(full, Weights(size, size))
            length = jnp.sqrt(jnp.sum(full.filter**2))
            return full, reduction.plain_step(order, size), jnp.minimum(shortest, length)

        start = (student, network.order_in_plane(student), jnp.asarray(jnp.inf))
        full, order, shortest = jax.lax.fori_loop(0, settings.steps, move, start)
        order = order._replace(y=jnp.abs(order.y))
        found[f"{name}_reduction"] = _apart(
            jnp.stack(network.order_in_plane(full)), jnp.stack(order)
        )
        found[f"{name}_shortest"] = shortest
    return found


def _at_zero(vs: Array) -> Array:
    """`f(v, 0) = v*.M v* / 8`, whatever v."""
    return (jnp.sum(vs**2) + jnp.sum(vs) ** 2) / 8


def _compared(name: str, exact: Array, sample: Array) -> dict[str, Array]:
    error = jnp.std(sample, ddof=1) / math.sqrt(sample.shape[0])
    return {f"{name}_z": (jnp.mean(sample) - exact) / error, f"{name}_size": exact / error}


def _apart(one: Array, other: Array) -> Array:
    return jnp.max(jnp.abs(one - other))


def summarize(dataset: xr.Dataset, settings: LandscapeSettings) -> dict:
    """Coverage of the Monte Carlo intervals, and the largest errors."""
    del settings
    names = [str(name) for name in dataset.data_vars]
    covered = {
        f"{name[:-2]}_coverage": float((abs(dataset[name]) < 1.959964).mean())
        for name in names
        if name.endswith("_z")
    }
    return covered | {n: told(dataset[n]) for n in names if n.endswith("_error")}


LANDSCAPE = Experiment(
    name="landscape",
    doc="closed forms beside the paper's, Monte Carlo, differences, quadrature, full descent",
    settings=LandscapeSettings,
    compute=compute,
    summarize=summarize,
    runs=128,
    block=1024,
    version=3,
)
