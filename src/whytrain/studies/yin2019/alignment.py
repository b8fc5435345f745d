"""Does the coarse gradient go downhill? Its angle to the true one, over the place of the filter."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.landscapes import PlaneOrder
from whytrain.report import figures as draw
from whytrain.studies.yin2019.closed_forms import POINTS
from whytrain.studies.yin2019.setup import PUBLISHED, THEOREM, YIN, EstimatorSettings, label


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings(EstimatorSettings):
    """The estimator, and the axes of the map."""

    filter_norm: float = lab.setting(1.0, "length of the filter", low=1e-100, high=1e100)
    spread: float = lab.setting(
        0.05, "standard deviation of the output weights about p v*", low=0, high=1e100
    )
    angles: int = lab.setting(41, "angles of the filter, inside (0, pi)", low=1, high=1000)
    overlaps: int = lab.setting(40, "values of P, from -1 to 1 without 0", low=2, high=1000)

    @property
    def angle_axis(self) -> np.ndarray:
        """The angles."""
        return (np.arange(self.angles) + 0.5) * math.pi / self.angles

    @property
    def overlap_axis(self) -> np.ndarray:
        """The overlaps."""
        return (np.arange(self.overlaps) + 0.5) * 2 / self.overlaps - 1


def compute(settings: AlignmentSettings, runs: lab.Runs) -> xr.Dataset:
    """The angle in radians for output weights about `P v*`, over run, angle and overlap."""
    reduction = settings.reduction
    star = settings.output_star  # of NumPy: outside a computation JAX would round it

    def one(key: Array) -> Array:
        noise = settings.spread * jax.random.normal(key, (settings.m,))
        noise = noise - jnp.sum(noise * star) * star  # P stays as it is

        def at(angle: Array, overlap: Array) -> Array:
            v = overlap * star + noise
            x, y = settings.filter_norm * jnp.cos(angle), settings.filter_norm * jnp.sin(angle)
            place = PlaneOrder(x, y, jnp.sum(v), overlap, jnp.sum(v**2))
            radial, across = reduction.filter_slope(place)
            # The true gradient is -P / (2 pi r) across the filter.
            return jnp.arctan2(jnp.abs(radial), -across * jnp.sign(overlap))

        over = jax.vmap(jax.vmap(at, (None, 0)), (0, None))
        return over(jnp.asarray(settings.angle_axis), jnp.asarray(settings.overlap_axis))

    apart = runs.draw(jax.jit(jax.vmap(one)), together=4)
    return xr.Dataset(
        {"apart": (("run", "angle", "overlap"), apart, {"units": "rad"})},
        {
            "angle": ("angle", settings.angle_axis, {"units": "rad"}),
            "overlap": settings.overlap_axis,
        },
    )


ALIGNMENT = lab.Experiment(
    "alignment-map",
    "angle between coarse and true gradient of the filter, over its angle and the overlap",
    AlignmentSettings, compute, lab.summarize, runs=16, block=256,
)  # fmt: skip


def _downhill(
    id: str, name: str, title: str, source: str, statement: str, does_not_show: str
) -> lab.Claim:
    """The inner product of coarse and true gradient is the stated one, and never negative."""
    return lab.Claim(
        id=id, title=title, group="dynamics", source=source, statement=statement, requests=POINTS,
        parts=(
            lab.identity(f"{name}_inner_error", tolerance=1e-12,
                         what="largest error of the stated inner product"),
            lab.in_every_run(lambda cells: cells.pooled(f"{name}_inner") >= 0,
                             "points at which it is not negative"),
        ),
        faults=(
            lab.Fault("the inner product is off by $2·10⁻¹²$",
                      lab.added(f"{name}_inner_error", 2e-12)),
            lab.Fault("at one point it is negative", lab.in_one_run(f"{name}_inner", -1e-9)),
        ),
        does_not_show=does_not_show, figures=("alignment",),
    )  # fmt: skip


_RADIAL = "How much of a step goes along the filter, which the loss does not see."

CLAIMS = (
    _downhill(
        "Y-L5a", "relu", "The ReLU's coarse gradient goes downhill", f"{YIN}, Lemma 5",
        r"$⟨E g_{\text{relu}}, \frac{∂f}{∂w}⟩ = \frac{sin θ (vᵀv*)²}{2(2π)^{3/2} ‖w‖} ≥ 0$.",
        _RADIAL,
    ),
    _downhill(
        "Y-L8a", "identity", "The identity's goes downhill too", f"{YIN}, Lemma 8",
        r"$⟨E g_{\text{id}}, \frac{∂f}{∂w}⟩ = \frac{sin θ (vᵀv*)²}{(2π)^{3/2} ‖w‖} ≥ 0$.",
        "That descent along it converges, which it does not.",
    ),
    _downhill(
        "Y-PUB2", "clipped_relu", "The clipped ReLU's goes downhill", PUBLISHED,
        r"$⟨E g_{\text{crelu}}, \frac{∂f}{∂w}⟩ = \frac{q(θ, w) (vᵀv*)²}{2π‖w‖} ≥ 0$.", _RADIAL,
    ),
)  # fmt: skip


def _map(cells: lab.Cells):
    shown = next((cell for cell in cells if cell.settings.ste == "relu"), cells[0])
    settings = shown.settings
    cosine = np.cos(shown.data.apart).mean("run").to_dataset(name="cosine")
    figure = draw.phase_diagram(
        cosine, x="overlap", y="angle", value="cosine", level=0.5, is_rate=False, limits=(0.0, 1.0),
        x_label="overlap $v^⊤v^*$", y_label="angle $θ$ of the filter (rad)",
        value_label="cosine between coarse and true gradient",
    )  # fmt: skip
    least = [
        f"{label(cell.settings.ste)} {float(np.cos(cell.data.apart).min()):.3f}" for cell in cells
    ]
    return figure, (
        f"{label(settings.ste)} estimator, $m = {settings.m}$, $‖w‖ = {settings.filter_norm:g}$; "
        f"on "
        "the line the cosine is 1/2. It is nowhere negative, which is the positive correlation of "
        "the paper; but over most of the map it is small, for the coarse gradient also has a part "
        "along the filter, which the loss does not see. Least cosines over the map: "
        f"{', '.join(least)}."
    )


MAPS = ALIGNMENT.grid({"quick": {"runs": 8}, "paper": {"runs": 100}}, ste=THEOREM)
FIGURE = lab.Figure("alignment", "Coarse against true gradient", MAPS, _map)

TOPIC = lab.Topic((ALIGNMENT,), CLAIMS, (FIGURE,))
