"""Where are minima and saddles, and where does a coarse gradient rest? At random teachers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.special import erf, erfc

from whytrain import lab
from whytrain._types import Numeric
from whytrain.studies.yin2019.setup import OWN, PUBLISHED, ROOT, THEOREM, YIN, EstimatorSettings

EDGE = 0.02  # teachers so close to u = 1/2 are not drawn: their saddle is at pi
NEAR = 0.02  # angles so close to a critical one are not searched for others
CLOSER = 21  # angles at which a low place is looked at more closely

Many = Float[Numeric, "*places"]  # angles, and what is one number for each
Outputs = Float[np.ndarray, "*places m"]


@dataclass(frozen=True, kw_only=True)
class PointSettings(lab.Settings):
    """A size of network and the effort to spend on each random teacher."""

    m: int = lab.setting(4, "number of patches", low=2, high=10_000)
    tries: int = lab.setting(400, "random moves from each critical point", low=10)
    angles: int = lab.setting(401, "angles at which zeros are searched", low=11)


def compute(settings: PointSettings, runs: lab.Runs) -> xr.Dataset:
    """One random teacher a run, with `u` anywhere in its range, and one random length of filter."""
    with jax.enable_x64(True):
        seeds = np.asarray(jax.vmap(lambda key: jax.random.bits(key, dtype="uint32"))(runs.keys()))
    cells = [_teacher(settings, np.random.default_rng(int(seed))) for seed in seeds]
    return xr.Dataset({name: ("run", np.array([c[name] for c in cells])) for name in cells[0]})


def _teacher(settings: PointSettings, rng: np.random.Generator) -> dict[str, float]:
    m, most = settings.m, settings.m / (settings.m + 1)
    u = rng.uniform(0.0, most)
    while abs(u - 0.5) < EDGE:
        u = rng.uniform(0.0, most)
    teacher = EstimatorSettings(m=m, alignment=u)
    star, total = teacher.output_star, teacher.total_star
    place = _Place(m, star, total, float(np.exp(rng.normal())))
    sphere = teacher.reduction.on_sphere()
    found = sphere.saddle_angle
    exists = u < 0.5
    stated = math.pi / 2 / (1 - u) if exists else math.nan  # (9), with N* = 1
    kinds = {point.kind for point in sphere.critical_points()}
    spurious = place.settled(math.pi)
    kappa = np.linspace(-1, 1, 401)
    profile = (1 - kappa) / 8 * ((1 + kappa) + (1 - kappa) * u)
    settled = place.loss(*place.settled_at(kappa))
    saddle_loss = float(place.loss(*place.settled(stated))) if exists else math.nan
    radial, across = map(float, place.coarse("identity", math.pi))
    return {
        "u": u,
        "as_stated": (found is not None) == exists and ("spurious" in kinds) == exists,
        "saddle_error": abs(found - stated) if exists and found is not None else 0.0,
        "residual": max(place.residual(angle) for angle in _critical(exists, stated)),
        "both_sides_fall": (not exists) or bool(settled.max() <= saddle_loss + 1e-12),
        "least_rise": place.least_change(*spurious, rng, settings.tries, abs(1 - 2 * u)),
        "profile_error": float(np.abs(profile - settled).max()),
        "values_error": max(
            abs(float(place.loss(*spurious)) - total**2 / (2 * (m + 1))),
            abs(saddle_loss - 1 / (8 * (1 - u))) if exists else 0.0,
        ),
        "identity_norm_error": abs(
            math.hypot(radial, across) - 2 * (m - 1) * total**2 / (ROOT * (m + 1) ** 2)
        ),
        "identity_radial": radial,
        **_zeros(place, exists, stated, settings.angles),
    }


def _critical(exists: bool, saddle: float) -> list[float]:
    return [0.0, math.pi, *([saddle] if exists else [])]


def _zeros(place: "_Place", exists: bool, saddle: float, count: int) -> dict[str, float]:
    """The coarse gradients with the output weights settled: at the critical angles, and elsewhere.

    The output's gradient vanishes at the settled weights and nowhere else, so that joint zeros are
    to be sought along the angle alone. A second search is not told of the saddle: it has to find
    it, which shows that a zero would be found.
    """
    critical, ends = np.array(_critical(exists, saddle)), np.array([0.0, math.pi])
    found = {}
    for name in THEOREM:

        def length(angle: Many, name: str = name) -> Many:
            return np.hypot(*place.coarse(name, angle))

        found[f"{name}_at_critical"] = float(length(critical).max())
        found[f"{name}_elsewhere"] = _least_away(length, critical, count)
        found[f"{name}_untold"] = _least_away(length, ends, count)
    return found


def _least_away(length: Callable[[Many], Many], known: np.ndarray, count: int) -> float:
    """The least value at angles that are not near the known ones.

    Every angle of the grid that is lower than its neighbors is looked at more closely, again and
    again, so that a zero between two angles of the grid is found.
    """

    def away(angle: Many) -> Many:
        near = np.abs(angle[..., None] - known).min(axis=-1) <= NEAR
        return np.where(near, np.inf, length(angle))

    angles, spacing = np.linspace(0, math.pi, count), math.pi / (count - 1)
    values = away(angles)
    edged = np.pad(values, 1, constant_values=np.inf)
    best = angles[np.isfinite(values) & (values <= edged[:-2]) & (values <= edged[2:])]
    while spacing > 1e-11:
        closer = best[:, None] + spacing * np.linspace(-1, 1, CLOSER)
        best = closer[np.arange(len(best)), away(closer).argmin(axis=1)]
        spacing *= 2 / (CLOSER - 1)
    return float(away(best).min())


class _Place:
    """One teacher in plain NumPy: the paper's formulas, for one length of the filter."""

    def __init__(self, m: int, star: np.ndarray, total: float, length: float) -> None:
        self.m, self.star, self.total, self.length = m, star, total, length

    def settled_at(self, kappa: Many) -> tuple[Outputs, Many]:
        """`v_opt(kappa) = kappa v* + S* (1 - kappa) / (m + 1) 1`, and kappa."""
        kappa = np.asarray(kappa)
        along = kappa[..., None]
        return along * self.star + self.total * (1 - along) / (self.m + 1), kappa

    def settled(self, angle: Many) -> tuple[Outputs, Many]:
        return self.settled_at(1 - 2 * np.asarray(angle) / math.pi)

    def loss(self, v: Outputs, kappa: Many) -> Many:
        s, overlap = v.sum(axis=-1), v @ self.star
        cross = kappa * overlap + s * self.total
        return ((v * v).sum(axis=-1) + s**2 - 2 * cross + 1 + self.total**2) / 8

    def residual(self, angle: float) -> float:
        """Both gradients: of the output, and of the filter where it has one."""
        v, kappa = self.settled(angle)
        by_output = (v + v.sum() - kappa * self.star - self.total) / 4
        turning = abs(v @ self.star) / (2 * math.pi * self.length)
        inside = 1e-9 < angle < math.pi - 1e-9
        return float(max(np.abs(by_output).max(), turning if inside else 0.0))

    def coarse(self, name: str, angle: Many) -> tuple[Many, Many]:
        """The expected coarse gradient along the filter, and across it."""
        v, _ = self.settled(angle)
        s, overlap, size = v.sum(axis=-1), v @ self.star, (v * v).sum(axis=-1)
        cos, sin = np.cos(angle), np.sin(angle)
        if name == "identity":
            return (size - overlap * cos) / ROOT, -overlap * sin / ROOT
        t = 1 / self.length
        near, passed, share = 0.0, 1.0, 0.0
        if name == "clipped_relu":
            near = math.exp(-(t**2) / 2)
            with np.errstate(divide="ignore"):  # at angle 0 both are limits
                passed = erf(t / (math.sqrt(2) * sin))
                share = 0.5 * erfc(-t * cos / sin / math.sqrt(2))
        h = size + s**2 - s * self.total + overlap
        along = (1 - near) * h - overlap * (1 - 2 * near * share) - overlap * passed * cos
        return along / (2 * ROOT), -overlap * passed * sin / (2 * ROOT)

    def least_change(
        self,
        v: Float[np.ndarray, " m"],
        kappa: Many,
        rng: np.random.Generator,
        tries: int,
        reach: float,
    ) -> float:
        """The least change of the loss under small random moves, over the size of the move.

        Where a spurious minimum ends, at u = 1/2, its basin shrinks to nothing, as |1 - 2 u|: moves
        are of no more than a tenth of this reach.
        """
        far = reach * 10 ** rng.uniform(-4, -1, tries)
        turn = far * np.abs(rng.normal(size=tries))
        size = far * (rng.uniform(size=tries) < 0.5)  # half of the moves only turn
        moved = v + size[:, None] * rng.normal(size=(tries, self.m))
        changes = (self.loss(moved, kappa + turn) - self.loss(v, kappa)) / (far**2 + turn)
        return float(changes.min())


CRITICAL_POINTS = lab.Experiment(
    "critical-points",
    "minima, saddles and joint zeros of the coarse gradients, at random teachers",
    PointSettings, compute, lab.summarize, runs=200, block=256, version=4,
)  # fmt: skip

TEACHERS = CRITICAL_POINTS.grid(
    {"quick": {"runs": 120, "m": 4}, "paper": {"runs": 500, "m": (2, 4, 10, 40)}}
)


def _kind_as_stated(cells: lab.Cells) -> np.ndarray:
    u, rise = cells.pooled("u"), cells.pooled("least_rise")
    return np.where(u < 0.5, rise > -1e-7, rise < -1e-7)


def _border_at(cell: lab.Cell, u: float) -> lab.Cell:
    """Saddle and spurious minimum end before u = 1/2."""
    gone = (cell.data.u.values > u) & (cell.data.u.values < 0.5)
    return cell.assign(as_stated=cell.data.as_stated.values & ~gone)


def _lowest_falls(rises: np.ndarray) -> np.ndarray:
    """From the steepest of the spurious minima there is a way down."""
    return np.where(rises == rises.max(), -1e-6, rises)


def _rests(id: str, name: str, title: str, source: str, statement: str, figures=()) -> lab.Claim:
    """The coarse gradient vanishes with the output's at the critical angles and nowhere else."""

    def least_elsewhere(cells: lab.Cells) -> lab.Estimate:
        values = cells.pooled(f"{name}_elsewhere")
        least = float(values.min())
        return lab.Estimate(least, least, least, None, len(values))

    def untold(cell: lab.Cell) -> lab.Cell:
        return cell.assign(**{f"{name}_elsewhere": cell.data[f"{name}_untold"].values})

    return lab.Claim(
        id=id, title=title, group="landscape", source=source, statement=statement,
        requests=TEACHERS,
        parts=(
            lab.identity(f"{name}_at_critical", tolerance=1e-12,
                         what="largest coarse gradient at critical angles"),
            lab.Part("least coarse gradient elsewhere", least_elsewhere, lab.above(1e-9)),
        ),
        faults=(
            lab.Fault("it is $2·10⁻¹²$ at a critical angle",
                      lab.added(f"{name}_at_critical", 2e-12)),
            lab.Fault("the search is not told of the saddle, and finds a zero elsewhere",
                      lab.changed(untold)),
        ),
        does_not_show="Zeros less than 0.02 rad from a critical angle.",
        figures=figures,
    )  # fmt: skip


CLAIMS = (
    lab.Claim(
        id="Y-P1", title="Where saddles and spurious minima are", group="landscape",
        source=f"{YIN}, Proposition 1",
        statement=r"Saddles, at $θ = \frac{π}{2} \frac{(m+1)‖v*‖²}{(m+1)‖v*‖² − (1ᵀv*)²}$, and "
        "spurious minima, at $θ = π$, exist if and only if $(1ᵀv*)² < (m+1)‖v*‖²/2$.",
        requests=TEACHERS,
        parts=(
            lab.in_every_run(
                lambda cells: cells.pooled("as_stated"),
                "teachers that have saddle and spurious minimum exactly where $u < 1/2$",
            ),
            lab.identity("saddle_error", tolerance=1e-9,
                         what="largest error of the saddle's angle (rad)"),
            lab.identity("residual", tolerance=1e-12, what="largest gradient at a critical point"),
            lab.in_every_run(lambda cells: cells.pooled("both_sides_fall"),
                             "saddles on both sides of which the loss falls"),
            lab.in_every_run(_kind_as_stated,
                             "teachers whose point at $θ = π$ is a minimum exactly where $u < "
                             "1/2$"),
        ),
        faults=(
            lab.Fault("both exist up to $u = 0.42$ only", lab.changed(_border_at, 0.42)),
            lab.Fault("the saddle is $2·10⁻⁹$ rad elsewhere", lab.added("saddle_error", 2e-9)),
            lab.Fault("one critical point has a gradient of $2·10⁻¹²$",
                      lab.in_one_run("residual", 2e-12)),
            lab.Fault("on one side of one saddle the loss rises",
                      lab.in_one_run("both_sides_fall", False)),
            lab.Fault("from one spurious minimum the loss falls",
                      lab.altered("least_rise", _lowest_falls)),
        ),
        does_not_show="Teachers with $|u − 1/2| < 0.02$, whose saddle is nearly at $θ = π$.",
        figures=("plane",),
    ),
    _rests(
        "Y-L6", "relu", "The ReLU's rests at critical points only", f"{YIN}, Lemma 6",
        r"$∂f/∂v$ and $E g_{\text{relu}}$ vanish together only at saddles and at (global or "
        "spurious) minima.",
        figures=("plane",),
    ),
    _rests(
        "Y-PUB4", "clipped_relu", "The clipped ReLU's rests at critical points only", PUBLISHED,
        r"$E g_{\text{crelu}}$ has the joint zeros of $E g_{\text{relu}}$.",
    ),
    lab.Claim(
        id="Y-L7b", title="The identity's does not vanish at the spurious minimum",
        group="landscape", source=f"{YIN}, Lemma 7",
        statement=r"At the spurious minimum $‖E g_{\text{id}}‖ = \frac{2(m−1)(1ᵀv*)²}{\sqrt{2π} "
        "(m+1)²} > 0$ for $m > 1$, $1ᵀv* ≠ 0$; it points outward, so that descent shrinks the "
        "filter.",
        requests=TEACHERS,
        parts=(
            lab.identity("identity_norm_error", tolerance=1e-12,
                         what="largest error of the stated length"),
            lab.in_every_run(lambda cells: cells.pooled("identity_radial") > 0,
                             "teachers at whose spurious minimum it points outward"),
        ),
        faults=(
            lab.Fault("the length is off by $2·10⁻¹²$", lab.added("identity_norm_error", 2e-12)),
            lab.Fault("for one teacher it points inward", lab.in_one_run("identity_radial", -1e-9)),
        ),
        does_not_show="What becomes of the filter then: see Y-O4 and Y-O5.",
        figures=("plane", "fate"),
    ),
    lab.Claim(
        id="Y-O2", title="The loss with the best output weights", group="landscape", source=OWN,
        statement=r"With the best output weights the loss is $\frac{1−κ}{8} [(1+κ)‖v*‖² + "
        r"(1−κ)\frac{(1ᵀv*)²}{m+1}]$; at the spurious minimum it is $\frac{(1ᵀv*)²}{2(m+1)}$.",
        requests=TEACHERS,
        parts=(lab.identity("profile_error", "values_error", tolerance=1e-12,
                            what="largest error"),),
        faults=(
            lab.Fault("it is off by $2·10⁻¹²$", lab.added("profile_error", 2e-12)),
            lab.Fault("the spurious loss is off by $2·10⁻¹²$", lab.added("values_error", 2e-12)),
        ),
        does_not_show="That no other output weights are better, which the quadratic form proves.",
        figures=("plane",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((CRITICAL_POINTS,), CLAIMS)
