"""`critical-points`: minima, saddles and zeros of the coarse gradients, at random teachers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.special import erf, erfc

from whytrain._types import Numeric
from whytrain.lab import Experiment, Runs, Settings, setting
from whytrain.studies.yin2019.setup import ROOT, THEOREM, TeacherSettings, told

EDGE = 0.02  # teachers so close to u = 1/2 are not drawn: their saddle is at pi
NEAR = 0.02  # angles so close to a critical one are not searched for others
CLOSER = 21  # angles at which a low place is looked at more closely

Many = Float[Numeric, "*places"]  # angles, and what is one number for each
Outputs = Float[np.ndarray, "*places m"]


@dataclass(frozen=True, kw_only=True)
class PointSettings(Settings):
    """A size of network and the effort to spend on each random teacher."""

    m: int = setting(4, "number of patches", low=2, high=10_000)
    tries: int = setting(400, "random moves from each critical point", low=10)
    angles: int = setting(401, "angles at which zeros are searched", low=11)


def compute(settings: PointSettings, runs: Runs) -> xr.Dataset:
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
    teacher = TeacherSettings(m=m, alignment=u)
    star, total = teacher.output_star, teacher.total_star
    place = _Place(m, star, total, float(np.exp(rng.normal())))
    sphere = teacher.reduction("relu").on_sphere()
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
        "least_rise": place.least_change(*spurious, rng, settings.tries),
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
        self, v: Float[np.ndarray, " m"], kappa: Many, rng: np.random.Generator, tries: int
    ) -> float:
        """The least change of the loss under small random moves, over the size of the move."""
        far = 10 ** rng.uniform(-4, -1, tries)
        turn = far * np.abs(rng.normal(size=tries))
        size = far * (rng.uniform(size=tries) < 0.5)  # half of the moves only turn
        moved = v + size[:, None] * rng.normal(size=(tries, self.m))
        changes = (self.loss(moved, kappa + turn) - self.loss(v, kappa)) / (far**2 + turn)
        return float(changes.min())


def summarize(dataset: xr.Dataset, settings: PointSettings) -> dict:
    """Largest errors, and the coarse gradients at the critical angles and elsewhere."""
    del settings
    names = [str(n) for n in dataset.data_vars]
    errors = {n: told(dataset[n]) for n in names if n.endswith(("_error", "_at_critical"))}
    other = {n: told(dataset[n], np.min) for n in names if n.endswith("_elsewhere")}
    return errors | other | {"as_stated": float(dataset.as_stated.mean())}


POINTS = Experiment(
    name="critical-points",
    doc="minima, saddles and joint zeros of the coarse gradients, at random teachers",
    settings=PointSettings,
    compute=compute,
    summarize=summarize,
    runs=200,
    block=256,
    version=3,
)
