"""Are the closed forms right? At random points, beside all that they can be held against."""

import functools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, StepQuadrature, step
from whytrain.landscapes import SharedFilter, Weights, angle_between
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.setup import OWN, PUBLISHED, ROOT, THEOREM, YIN

TOGETHER = 8  # points at a time: one shape, and bounded memory
LONG = 0.05  # filters that become shorter pass a singular point, where rounding decides


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings(lab.Settings):
    """A size of network and the effort to spend on each random point."""

    m: int = lab.setting(6, "number of patches", low=2, high=10_000)
    n: int = lab.setting(4, "length of a patch", low=2, high=10_000)
    samples: int = lab.setting(20_000, "Monte Carlo samples a point", low=2)
    steps: int = lab.setting(1000, "steps of descent, full beside reduced", low=1)
    step_size: float = lab.setting(0.02, "step size of that descent", low=0, exclusive=True)


def compute(settings: LandscapeSettings, runs: lab.Runs) -> xr.Dataset:
    """One random student and teacher a run.

    `..._z`: Monte Carlo less closed form, in standard errors; `..._size`: the closed form in the
    same units, which says how small an error could be seen. `..._error`: largest difference from
    what the paper prints, from autodiff, differences or quadrature. `..._inner`: the inner product
    of coarse and true gradient of the filter. `..._reduction`: full beside reduced descent.
    """
    found: dict = {}
    for check, together in ((_sampled, TOGETHER), (_exact, TOGETHER), (_reduced, 64)):
        of_each = jax.jit(jax.vmap(functools.partial(check, settings)))
        found |= runs.draw(of_each, together=together)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


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
        **lab.monte_carlo("loss", one.loss(student), 0.5 * residual**2),
        **lab.monte_carlo("zero", printed.loss_at_zero(vs), 0.5 * target**2),
        **lab.monte_carlo("output", one.grad(student).output @ out, residual * (hidden @ out)),
    }
    for name, network in networks.items():
        back = network.activation.backward(before) * student.output
        drawn = residual * jnp.sum(back * (patches @ into), axis=1)
        found |= lab.monte_carlo(name, network.grad(student).filter @ into, drawn)
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
    shrink = 4 * jnp.sum(v * by_output) + (1 + kappa) * overlap
    found = {
        "loss_error": _apart(one.loss(student), printed.loss(v, vs, theta)),
        "output_error": _apart(one.grad(student).output, by_output),
        "difference_error": _differences(one, student, slope, by_output),
        "shrink_error": _apart(shrink, printed.shrink(v, vs)),
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


def _apart(one: Array, other: Array) -> Array:
    return jnp.max(jnp.abs(one - other))


LANDSCAPE = lab.Experiment(
    "landscape",
    "closed forms beside the paper's, Monte Carlo, differences, quadrature, full descent",
    LandscapeSettings, compute, lab.summarize, runs=128, block=1024, version=3,
)  # fmt: skip


def _can_be_judged(settings: LandscapeSettings) -> bool:
    """Refuse what would contradict a closed form that is right."""
    if settings.samples < 1000:
        raise UserError(
            f"setting 'samples' must be >= 1000 for a claim, got {settings.samples}: the mean of "
            "fewer is not nearly normal"
        )
    if settings.step_size >= 8 / (settings.m + 1):
        raise UserError(
            f"setting 'step_size' must be < 8/(m + 1) = {8 / (settings.m + 1):.4g} for a claim, "
            f"got {settings.step_size:g}: an unstable descent multiplies rounding"
        )
    return True


POINTS = LANDSCAPE.grid(
    {
        "quick": {"runs": 192, "samples": 8000, "m": 6},
        "paper": {"runs": 500, "samples": 20_000, "m": (2, 6, 16)},
    },
    n=lambda at: max(2, at.m // 2 + 1),
    where=_can_be_judged,
)


def _too_large(name: str, share: float) -> lab.Fault:
    """The closed form of this name is too large by a share of itself."""
    plant = lab.moved(f"{name}_z", f"{name}_size", share)
    return lab.Fault(f"the closed form of {name.replace('_', ' ')} is {share:.0%} too large", plant)


def _off(name: str, what: str = "what is printed is off by $2·10⁻⁹$") -> lab.Fault:
    return lab.Fault(what, lab.added(f"{name}_error", 2e-9))


def _reduction_errors(cells: lab.Cells) -> lab.Estimate:
    errors = [
        cell.data[f"{name}_reduction"].values[~(cell.data[f"{name}_shortest"].values <= LONG)]
        for cell in cells
        for name in THEOREM
    ]
    return lab.largest(np.concatenate(errors))


def _left_out(cells: lab.Cells) -> str:
    short = np.concatenate([cells.pooled(f"{name}_shortest") <= LONG for name in THEOREM])
    return f"{short.sum()} of {len(short)} descents are left out: they pass $‖w‖$ = {LONG:g}"


_ALONG = "the closed form along a random direction"
_PRINTED = "largest difference from what is printed"
_QUADRATURES = f"{_PRINTED} and from two quadratures"
_NOT_AT_ZERO = "Points at which the filter has length zero, where there is no gradient."

CLAIMS = (
    lab.Claim(
        id="Y-L1", title="The loss has a closed form", group="definitions",
        source=f"{YIN}, Lemma 1",
        statement=r"$f(v, w) = \frac{1}{8} [vᵀMv − 2vᵀ(κI + 11ᵀ)v* + v*ᵀMv*]$ with $M = I + "
        r"11ᵀ$, $κ = 1 − 2θ/π$; and $f(v, 0) = \frac{1}{8} v*ᵀMv*$.",
        requests=POINTS,
        parts=(
            *lab.closed_form("loss_z", "the closed form of the loss"),
            *lab.closed_form("zero_z", "the closed form of f(v,0)"),
            lab.identity("loss_error", tolerance=1e-9, what=_PRINTED),
        ),
        faults=(_too_large("loss", 0.05), _too_large("zero", 0.05), _off("loss")),
        does_not_show="Errors of less than a few percent in both the printed and our formula.",
    ),
    lab.Claim(
        id="Y-L2", title="So has its gradient", group="definitions", source=f"{YIN}, Lemma 2",
        statement=r"$\frac{∂f}{∂v} = \frac{1}{4} [Mv − (κI + 11ᵀ)v*]$, and $\frac{∂f}{∂w} = "
        r"−\frac{vᵀv*}{2π‖w‖} e$ for $0 < θ < π$.",
        requests=POINTS,
        parts=(lab.identity("difference_error", tolerance=1e-9,
                            what="largest error against differences of the loss"),),
        faults=(_off("difference", "the gradient is off by $2·10⁻⁹$"),),
        does_not_show="$θ = 0$ and $θ = π$, where the loss has a kink and no gradient.",
    ),
    lab.Claim(
        id="Y-L4", title="The ReLU's coarse gradient is closed", group="definitions",
        source=f"{YIN}, Lemma 4",
        statement=r"$E \frac{∂ℓ}{∂v} = \frac{∂f}{∂v}$, and $E g_{\text{relu}} = "
        r"\frac{h}{2\sqrt{2π}} \frac{w}{‖w‖} − \frac{cos(θ/2) vᵀv*}{\sqrt{2π}} z$ with the unit "
        "vector $z$ along $w/‖w‖ + w*$.",
        requests=POINTS,
        parts=(
            *lab.closed_form("output_z", f"$∂f/∂v$, {_ALONG}"),
            *lab.closed_form("relu_z", f"E g, {_ALONG}"),
            lab.identity("relu_printed_error", "relu_quadrature_error", "output_error",
                         "shrink_error", tolerance=1e-9, what=_QUADRATURES),
        ),
        faults=(_too_large("output", 0.2), _too_large("relu", 0.2), _off("relu_printed")),
        does_not_show=_NOT_AT_ZERO,
    ),
    lab.Claim(
        id="Y-L7a", title="The identity's coarse gradient is closed", group="definitions",
        source=f"{YIN}, Lemma 7", statement=r"$E g_{\text{id}} = \frac{1}{\sqrt{2π}} (‖v‖² "
        r"\frac{w}{‖w‖} − vᵀv* w*)$.",
        requests=POINTS,
        parts=(
            *lab.closed_form("identity_z", _ALONG),
            lab.identity("identity_printed_error", "identity_quadrature_error", tolerance=1e-9,
                         what=_QUADRATURES),
        ),
        faults=(_too_large("identity", 0.2), _off("identity_printed")),
        does_not_show=_NOT_AT_ZERO,
    ),
    lab.Claim(
        id="Y-PUB1", title="The clipped ReLU's is closed, with two integrals",
        group="definitions", source=f"{PUBLISHED}, clipped-ReLU lemma",
        statement=r"$E g_{\text{crelu}} = \frac{p(0, w) h}{2} \frac{w}{‖w‖} − vᵀv* csc(θ/2) q z "
        r"− vᵀv* (p − cot(θ/2) q) \frac{w}{‖w‖}$.",
        requests=POINTS,
        parts=(
            *lab.closed_form("clipped_relu_z", _ALONG),
            lab.identity("clipped_relu_printed_error", tolerance=1e-9, what=_PRINTED),
        ),
        faults=(_too_large("clipped_relu", 0.2), _off("clipped_relu_printed")),
        does_not_show=_NOT_AT_ZERO,
    ),
    lab.Claim(
        id="Y-O1", title="The clipped ReLU's is closed without integrals", group="definitions",
        source=OWN,
        statement=r"$E g_{\text{crelu}}$ is closed without integrals: along the filter with "
        r"$exp(−1/(2‖w‖²))$ and $Φ(cot θ/‖w‖)$, along the teacher's with $−vᵀv* erf(1/(\sqrt{2} "
        r"‖w‖ sin θ))/(2\sqrt{2π})$.",
        requests=POINTS,
        parts=(lab.identity("clipped_relu_printed_error", "clipped_relu_quadrature_error",
                            tolerance=1e-9, what=_QUADRATURES),),
        faults=(
            _off("clipped_relu_printed", "the printed integrals give $2·10⁻⁹$ more"),
            _off("clipped_relu_quadrature", "quadrature over inputs gives $2·10⁻⁹$ more"),
        ),
        does_not_show=_NOT_AT_ZERO,
    ),
    lab.Claim(
        id="Y-O3", title="Five numbers carry the descent", group="dynamics", source=OWN,
        statement="Five numbers carry coarse gradient descent exactly, whatever $m$ and $n$.",
        requests=POINTS,
        parts=(lab.Part(
            "largest difference of full and reduced descent at its end, where $‖w‖$ stays above "
            f"{LONG:g}", _reduction_errors, lab.at_most(1e-12),
        ),),
        faults=(
            lab.Fault("ReLU's descents differ by $2·10⁻¹²$", lab.added("relu_reduction", 2e-12)),
        ),
        does_not_show="Runs that pass $‖w‖ ≈ 0$: there the map is singular, and rounding "
        "decides.",
        note=_left_out,
    ),
)  # fmt: skip

TOPIC = lab.Topic((LANDSCAPE,), CLAIMS)
