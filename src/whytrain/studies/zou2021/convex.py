"""Do both optimizers come to the same solution where the loss is convex?"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Int

from whytrain import lab
from whytrain._types import Numeric
from whytrain.dynamics import OptaxMethod, simulate
from whytrain.landscapes import Landscape, Outcome
from whytrain.studies.zou2021 import setup
from whytrain.studies.zou2021.setup import ZCLG, Sample


class Logistic(Landscape):
    """`mean_i log(1 + exp(-y_i <w, y_i e_0 + noise_i>)) + weight_decay |w|^2 / 2`."""

    train: Sample
    weight_decay: Float[Numeric, ""]

    def loss(self, params: Float[Numeric, " d"]) -> Float[Array, ""]:
        """The loss."""
        data = jnp.mean(jax.nn.softplus(-margins(params, self.train)))
        return data + self.weight_decay * jnp.sum(params**2) / 2

    def outcome(self, params: Float[Numeric, "run d"]) -> Int[np.ndarray, " run"]:
        """Not asked for."""
        return np.full(len(params), Outcome.UNDECIDED)


def margins(w: Float[Numeric, " d"], sample: Sample) -> Float[Numeric, " n"]:
    """`y_i <w, x_i>` of the sum of both patches."""
    return w[0] + sample.y * (sample.noise @ w)


@dataclass(frozen=True, kw_only=True)
class ConvexSettings(setup.DataSettings):
    """Logistic regression on the sum of both patches."""

    weight_decay: float = lab.setting(1e-2, "weight decay lambda", low=0)
    samples: int = lab.setting(50, "training examples n, half of each class", low=2, high=100_000)
    dimension: int = lab.setting(400, "length d of a patch", low=3, high=100_000)
    sparsity: int = lab.setting(40, "coordinates s of a noise patch", low=1, high=100_000)
    noise_size: lab.Derived[float] = lab.setting(0.6, "sigma_p", low=0)
    init_size: float = lab.setting(0.01, "sigma_0 of Adam's start; descent starts at 0", low=0)
    width: int = lab.setting(1, "one linear unit", low=1, high=1)
    steps: int = lab.setting(20_000, "number of steps", low=2)


def compute(settings: ConvexSettings, runs: lab.Runs) -> xr.Dataset:
    """How far apart both solutions are, and their errors."""
    found = [
        jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), each)
        for each in setup.problems(settings, runs)
    ]
    scapes = [Logistic(each.train, np.float64(settings.weight_decay)) for each in found]
    starts = np.stack([each.start[0, 0] for each in found])
    ends = {
        name: simulate(scapes, method, start, settings.steps, keys=runs.keys()).final.values
        for name, (method, start) in {
            "gd": (_methods(settings.steps)[0], 0 * starts),
            "adam": (_methods(settings.steps)[1], starts),
        }.items()
    }
    with np.errstate(all="ignore"):  # a run that diverged has no distance, and no angle
        length = {name: np.linalg.norm(w, axis=1) for name, w in ends.items()}
        length = {name: np.where(np.isfinite(each), each, np.nan) for name, each in length.items()}
        data = {
            "distance": np.linalg.norm(ends["adam"] - ends["gd"], axis=1) / length["gd"],
            "cosine": (ends["adam"] * ends["gd"]).sum(1) / length["adam"] / length["gd"],
        }
    for name, w in ends.items():
        for kind in ("train", "test"):
            data[f"{kind}_error_{name}"] = [
                np.mean(margins(one, getattr(each, kind)) <= 0)
                for one, each in zip(w, found, strict=True)
            ]
    return xr.Dataset({name: ("run", np.asarray(values)) for name, values in data.items()})


@functools.cache  # the same objects again, or the loops would be compiled again
def _methods(steps: int) -> tuple[OptaxMethod, OptaxMethod]:
    """Gradient descent, and Adam with a step size that goes to 0, so that it comes to rest."""
    sizes = optax.cosine_decay_schedule(3e-3, steps)
    return OptaxMethod(optax.sgd(0.5)), OptaxMethod(optax.adam(sizes))


CONVEX = lab.Experiment(
    name="convex",
    doc="logistic regression by gradient descent and by Adam",
    settings=ConvexSettings,
    compute=compute,
    runs=8,
    block=64,
)
DECAYS = CONVEX.grid(
    {"quick": {"runs": 8}, "paper": {"runs": 32, "steps": 40_000}}, weight_decay=(0.0, 1e-3, 1e-2)
)


def _worst(cells: lab.Cells) -> lab.Estimate:
    some = [cell for cell in cells if cell.settings.weight_decay > 0]
    return lab.largest(lab.Cells(some).pooled("distance"))


def _gap(kind: str) -> Callable[[lab.Cells], lab.Estimate]:
    def gap(cells: lab.Cells) -> lab.Estimate:
        some = lab.Cells([cell for cell in cells if cell.settings.weight_decay > 0])
        names = (f"{kind}_error_adam", f"{kind}_error_gd")
        adam, gd = (some.pooled(name) for name in names)
        return lab.largest(np.abs(adam - gd))

    return gap


CLAIMS = (
    lab.Claim(
        id="B-T3", title="With a convex loss both come to one solution", group="dynamics",
        source=f"{ZCLG}, theorem on convex objectives",
        statement="With any weight decay above 0 Adam and gradient descent come to the same "
        "minimum (relative distance below $10⁻³$), from different starts, with the same errors. "
        "Without it they go different ways (a cosine below 0.8).",
        requests=DECAYS,
        parts=(
            lab.Part("largest relative distance, $λ > 0$", _worst, lab.at_most(1e-3)),
            lab.Part("largest difference of training errors, $λ > 0$", _gap("train"),
                     lab.at_most(0.001)),
            lab.Part("largest difference of test errors, $λ > 0$", _gap("test"),
                     lab.at_most(0.005)),
            lab.Part("mean cosine, $λ = 0$",
                     lambda cells: lab.estimate_mean(cells.sel(weight_decay=0.0).pooled("cosine")),
                     lab.below(0.8)),
        ),
        faults=(
            lab.Fault("the solutions are 0.002 apart", lab.added("distance", 2e-3)),
            lab.Fault("Adam's test error is larger by 0.01", lab.added("test_error_adam", 0.01)),
            lab.Fault("without decay they nearly agree", lab.altered("cosine", lambda x: x**0.1)),
        ),
        note=lambda cells: "test errors at $λ = 0$: Adam {:.3f}, descent {:.3f}".format(*(
            cells.sel(weight_decay=0.0).pooled(f"test_error_{o}").mean() for o in ("adam", "gd")
        )),
        does_not_show="Losses that are not smooth, and decay so small that no run ends.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((CONVEX,), CLAIMS)
