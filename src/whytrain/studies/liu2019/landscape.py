"""Do the closed forms and the reduction hold? Beside autodiff, Monte Carlo and full descent."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.landscapes import SharedFilter, SphereReduction, Weights
from whytrain.studies.liu2019.setup import DU, OWN

# Points at a time: one shape each, compiled once, and bounded memory where points are sampled at.
TOGETHER = 4
MANY = 64


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings(lab.Settings):
    """A size of network and the effort to spend on each random point."""

    k: int = lab.setting(9, "number of patches", low=1, high=10_000)
    p: int = lab.setting(4, "length of a patch", low=2, high=10_000)
    samples: int = lab.setting(20_000, "Monte Carlo samples a point", low=2)
    steps: int = lab.setting(3000, "steps of descent, full beside reduced", low=1)
    step_size: float = lab.setting(0.02, "step size of that descent", low=0, exclusive=True)


def compute(settings: LandscapeSettings, runs: lab.Runs) -> xr.Dataset:
    """One random student and one random teacher a run.

    `loss_z` and `gradient_z`: Monte Carlo less closed form, in standard errors (of the gradient,
    along one random direction); `loss_size` and `gradient_size`: the closed form in the same units,
    which says how small an error could be seen. `autodiff_error`: closed gradient less autodiff
    of the closed loss, over its length. `reduction_error`: largest difference of the order
    parameters between full and reduced descent at its end.
    """
    k, p = settings.k, settings.p
    closed = jax.jit(jax.vmap(functools.partial(_closed_forms, k, p, settings.samples)))
    reduced = functools.partial(_reduction_error, k, p, settings.steps, settings.step_size)
    reduced = jax.jit(jax.vmap(reduced))

    def drawn(keys: Array) -> np.ndarray:
        return lab.normals(keys, 3 * (k + p))

    return xr.Dataset({
        name: ("run", values)
        for check, together in (
            (lambda keys: closed(drawn(keys), keys), TOGETHER),
            (lambda keys: reduced(drawn(keys)), MANY),
        )
        for name, values in runs.draw(check, together=together).items()
    })  # fmt: skip


def _random_point(k: int, p: int, drawn: Array) -> tuple[SharedFilter, Weights, Weights]:
    """A random teacher, a random student, and a direction."""
    filter_star, v, across, output_star, a, along = jnp.split(
        drawn, [p, 2 * p, 3 * p, 3 * p + k, 3 * p + 2 * k]
    )
    filter_star = filter_star / jnp.sqrt(jnp.sum(filter_star**2))
    landscape = SharedFilter(filter_star, output_star / np.sqrt(k))
    return landscape, Weights(v, a / np.sqrt(k)), Weights(across, along)


def _closed_forms(k: int, p: int, samples: int, drawn: Array, key: Array) -> dict[str, Array]:
    """Loss and gradient beside autodiff and Monte Carlo."""
    landscape, student, towards = _random_point(k, p, drawn)
    patches = landscape.sample(jax.random.fold_in(key, 1), samples)
    grad = landscape.grad(student)
    auto = jax.grad(landscape.loss)(student)
    residual = landscape.predict(student, patches) - landscape.teacher(patches)
    change = jax.jvp(lambda w: landscape.predict(w, patches), (student,), (towards,))[1]
    slope = jnp.sum(grad.filter * towards.filter) + jnp.sum(grad.output * towards.output)
    return {
        **lab.monte_carlo("loss", landscape.loss(student), 0.5 * residual**2),
        **lab.monte_carlo("gradient", slope, residual * change),
        "autodiff_error": _distance(grad, auto) / _distance(grad, Weights(0.0, 0.0)),
    }


def _reduction_error(
    k: int, p: int, steps: int, step_size: float, drawn: Array
) -> dict[str, Array]:
    """Full descent beside reduced descent, by the largest difference at the end."""
    landscape, student, _ = _random_point(k, p, drawn)
    star = jnp.asarray(landscape.output_star)
    reduction = SphereReduction.of_sums(k, jnp.sum(star), jnp.sum(star**2), landscape.activation)
    sizes = Weights(step_size, step_size)

    def step(_: Array, both: tuple) -> tuple:
        return landscape.normalized_step(both[0], sizes), reduction.normalized_step(both[1], sizes)

    full = landscape.retract(student)
    full, order = jax.lax.fori_loop(0, steps, step, (full, landscape.order(full)))
    apart = jnp.stack(landscape.order(full)) - jnp.stack(order)
    return {"reduction_error": jnp.max(jnp.abs(apart))}


def _distance(a: Weights, b: Weights) -> Array:
    return jnp.sqrt(jnp.sum((a.filter - b.filter) ** 2) + jnp.sum((a.output - b.output) ** 2))


LANDSCAPE = lab.Experiment(
    name="landscape",
    doc="closed forms beside autodiff, Monte Carlo and full-state descent",
    settings=LandscapeSettings,
    compute=compute,
    version=3,
    runs=64,
    block=1024,
)

POINTS = LANDSCAPE.grid(
    {
        "quick": {"runs": 128, "samples": 10_000, "k": 9},
        "paper": {"runs": 200, "samples": 20_000, "k": (1, 4, 9, 16, 49)},
    },
    p=lambda at: {1: 2, 4: 3, 9: 4}.get(at.k, 8),
)

CLAIMS = (
    lab.Claim(
        id="loss", title="The loss has a closed form", group="definitions",
        source=f"{DU}, Theorem 3.1",
        statement=r"The population loss is $L(v, a) = \frac{1}{4π} [(π−1)‖a‖² + s² + (π−1)A + "
        "S² − 2(g(φ)−1)u − 2sS]$.",
        requests=POINTS,
        parts=lab.closed_form("loss_z", "the closed form"),
        faults=(lab.Fault("the closed form is 5 % too large",
                          lab.moved("loss_z", "loss_size", 0.05)),),
        does_not_show="Errors of less than about 1 % at single points would not be seen.",
    ),
    lab.Claim(
        id="gradient", title="So has the gradient", group="definitions",
        source=f"{DU}, Theorem 3.1",
        statement=r"Its gradient is $\frac{∂L}{∂a} = \frac{1}{2π} [(π−1)a + s\,1 − (g(φ)−1)a* − "
        r"S\,1]$, and on the sphere $\frac{∂L}{∂v} = −\frac{π−φ}{2π} u (I − vvᵀ) v*$.",
        requests=POINTS,
        parts=(
            *lab.closed_form("gradient_z", "the closed form along a random direction"),
            lab.identity("autodiff_error", tolerance=1e-10,
                         what="largest relative difference from autodiff of the closed loss"),
        ),
        faults=(
            lab.Fault("the closed form is 20 % too large",
                      lab.moved("gradient_z", "gradient_size", 0.2)),
            lab.Fault("autodiff differs by $10⁻⁹$ of the gradient",
                      lab.added("autodiff_error", 1e-9)),
        ),
        does_not_show="Points at which the filter has length zero, where there is no gradient.",
    ),
    lab.Claim(
        id="reduction", title="Three numbers carry the descent", group="dynamics", source=OWN,
        statement="Three numbers $(φ, s, u)$ carry normalized gradient descent exactly, "
        "whatever $k$ and $p$.",
        requests=POINTS,
        # Rounding, too: a run that passes near where descent is unstable makes 1e-15 larger, by as
        # much as it comes near. One run of 2,000 ends beyond 1e-12.
        parts=(lab.identity(
            "reduction_error", tolerance=1e-9, what="largest difference of the order "
            "parameters between full and reduced descent at its end",
        ),),
        faults=(lab.Fault("the order parameters differ by $10⁻⁸$",
                          lab.added("reduction_error", 1e-8)),),
        does_not_show="Other methods: each reduction lists those under which it is exact.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((LANDSCAPE,), CLAIMS)
