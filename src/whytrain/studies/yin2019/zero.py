"""Is a filter of length zero a local minimum? For random output weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.setup import OWN, YIN, TeacherSettings

SLACK = 1e-3  # relative margin within which the condition is not decided numerically


@dataclass(frozen=True, kw_only=True)
class ZeroSettings(TeacherSettings):
    """The teacher, and how many filters are tried around zero."""

    m: int = lab.setting(4, "number of patches", low=1, high=10_000)
    angles: int = lab.setting(181, "angles of short filters", low=3)


def compute(settings: ZeroSettings, runs: lab.Runs) -> xr.Dataset:
    """A run draws `v`; `least` is the least of `f(v', w) - f(v, 0)` over short `w` and `v'` near.

    `margin` is `N + S^2 - 2 (|P| + S S*)` over its scale: the corrected statement is that `(v, 0)`
    is a local minimum where it is positive and none where it is negative.
    """
    star = settings.output_star  # of NumPy: outside a computation JAX would round it
    angles = np.linspace(0, math.pi, settings.angles)
    base = (np.sum(star**2) + np.sum(star) ** 2) / 8

    def one(key: Array) -> dict[str, Array]:
        normal = jax.random.normal(key, (9, len(star)))
        near = normal[0] + 1e-6 * jnp.concatenate([jnp.zeros((1, len(star))), normal[1:]])
        losses = jax.vmap(lambda v: jax.vmap(lambda t: printed.loss(v, star, t))(angles))(near)
        v = normal[0]
        s, overlap = jnp.sum(v), jnp.sum(v * star)
        size = jnp.sum(v**2) + s**2
        margin = (size - 2 * (jnp.abs(overlap) + s * jnp.sum(star))) / size
        return {"least": jnp.min(losses) - base, "margin": margin}

    found = runs.draw(jax.jit(jax.vmap(one)), together=256)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


ZERO = lab.Experiment(
    name="zero-filter",
    doc="whether a filter of length zero is a local minimum, for random output weights",
    settings=ZeroSettings,
    compute=compute,
    summarize=lambda dataset, _: (
        lab.summarize(dataset) | {"local_minima": float((dataset.least >= 0).mean())}
    ),
    runs=1000,
)

OUTPUTS = ZERO.grid({"quick": {"runs": 1000}, "paper": {"runs": 20_000}})


def _no_minimum(cells: lab.Cells) -> np.ndarray:
    """Whether each `(v, 0)` is no local minimum: something near is lower."""
    return ~(cells.pooled("least") >= 0)


def _as_the_condition_says(cells: lab.Cells) -> np.ndarray:
    """Whether `(v, 0)` is a local minimum where the margin is positive, if it can be told."""
    margin = cells.pooled("margin")
    return (~_no_minimum(cells) == (margin > 0))[np.abs(margin) > SLACK]


def _another_factor(share: float) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: the 2 in the condition is larger by a share of itself."""
    return lab.altered("margin", lambda margin: 1 - (1 + share) * (1 - margin))


CLAIMS = (
    lab.Claim(
        id="Y-W0", title="A filter of length zero is no minimum", group="caveats",
        source=f"{YIN}, after Lemma 2", statement="$(v, 0)$ is not a local minimizer for any "
        "$v$.",
        requests=OUTPUTS,
        parts=(lab.in_every_run(_no_minimum,
                                "output weights $v$ for which $(v, 0)$ is no local minimum"),),
        faults=(lab.Fault("near every (v, 0) there is a lower loss",
                          lab.altered("least", lambda least: least.clip(max=-1e-6))),),
        does_not_show="How often training would come to such a point.",
        expected="contradicted",
    ),
    lab.Claim(
        id="Y-W0-corrected", title="When a filter of length zero is a minimum", group="caveats",
        source=OWN,
        statement=r"$(v, 0)$ is a local minimizer if $‖v‖² + (1ᵀv)² > 2(|vᵀv*| + 1ᵀv\,1ᵀv*)$, "
        "and none if it is less.",
        requests=OUTPUTS,
        parts=(lab.in_every_run(_as_the_condition_says,
                                "output weights of which it is as the condition says"),),
        faults=(
            lab.Fault("the 2 in the condition is 5 % too large", _another_factor(0.05)),
            lab.Fault("the 2 in the condition is 5 % too small", _another_factor(-0.05)),
        ),
        does_not_show="Output weights with both sides equal to a part in a thousand.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((ZERO,), CLAIMS)
