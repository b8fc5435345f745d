"""The data of the study, the network on it as a landscape, and its training."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float

from whytrain import lab
from whytrain._types import Numeric
from whytrain.data import GaussianMixture
from whytrain.dynamics import GradientDescent, OptaxMethod, OverLoss, simulate
from whytrain.errors import UserError
from whytrain.landscapes import Landscape, Outcome
from whytrain.networks import LeakyTwoLayer, logistic

SBG = "Sarussi, Brutzkus and Globerson 2021"
DATA = ("balls", "gaussians", "margin")
DATA_COLORS = ("teal", "indigo", "brown")  # of these, where they are drawn together
BIAS = 0.1  # the feature that takes the place of a bias
RADIUS = 0.2  # of a ball; its center is at +-CENTER
CENTER = 0.5
STEP_OVER_LOSS = 1.0  # in long runs; L'' <= 2 k v^2 R^2 L allows up to 2 at v = 1/sqrt(2k), R = 1


class Problem(NamedTuple):
    """The units of either sign, and the examples that they are trained on.

    The examples travel with the units, so that runs on different examples are one batch; their
    gradient is 0.
    """

    w: Float[Numeric, "*run unit d"]
    u: Float[Numeric, "*run unit d"]
    x: Float[Numeric, "*run example d"]
    y: Float[Numeric, "*run example"]


Units = Any  # what has the fields of a Problem


class TeacherLoss(Landscape):
    """The logistic loss of the network, or its hinge loss where `hinge` is 1.

    Attributes:
        network: The network.
        hinge: 0 or 1, a number, so that both are one program.
    """

    network: LeakyTwoLayer
    hinge: float = 0.0

    def outputs(self, problem: Units) -> Float[Array, " example"]:
        """What the network says of its examples."""
        return self.network({"w": problem.w, "u": problem.u}, problem.x)

    def loss(self, params: Units) -> Float[Array, ""]:
        """The mean over the examples."""
        out = self.outputs(params)
        hinged = jnp.mean(jnp.maximum(0, 1 - params.y * out))
        return jnp.where(self.hinge > 0, hinged, logistic(out, params.y))

    def slopes(self, problem: Units) -> Float[Array, " example"]:
        """`p = |l'|` of each example: `1 / (1 + exp(y f))`; 1 or 0 for the hinge."""
        m = problem.y * self.outputs(problem)
        return jnp.where(self.hinge > 0, (m < 1).astype(m.dtype), jax.nn.sigmoid(-m))

    def ascent(self, problem: Units, weights: Float[Array, " example"]) -> Problem:
        """`sum_i weights[i] y[i] grad f(x[i])`, a direction in which margins grow."""
        _, back = jax.vjp(lambda w, u: self.outputs(problem._replace(w=w, u=u)), *problem[:2])
        w, u = back(weights * problem.y)
        return Problem(w, u, jnp.zeros_like(problem.x), jnp.zeros_like(problem.y))

    def grad(self, params: Units) -> Problem:
        """`-mean_i p[i] y[i] grad f(x[i])`; 0 for the examples."""
        count = len(params.y)
        return self.ascent(params, -self.slopes(params) / count)

    def imperfect(self, problem: Units) -> Float[Array, ""]:
        """1 unless every unit has the sign of every label (the `w`) or the other (the `u`)."""
        signs = problem.y[:, None] * problem.x
        good = jnp.all(signs @ problem.w.T > 0) & jnp.all(signs @ problem.u.T < 0)
        return 1.0 - good.astype(problem.y.dtype)

    def observables(self) -> Mapping[str, Callable]:
        """The loss, and whether the units are out of the perfect agreement regime."""
        return {"loss": self.loss, "imperfect": self.imperfect}

    def outcome(self, params: Units) -> np.ndarray:
        """Where runs end is asked of their loss, not of its curvature."""
        return np.full(len(params.y), int(Outcome.UNDECIDED), np.int8)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(lab.Settings, abc.ABC):
    """A network, and how it is trained; a subclass says on what, and gives `inputs`."""

    width: int = lab.setting(50, "units k of each sign", low=1, high=100_000)
    slope: float = lab.setting(0.3, "slope of the activation below 0", low=0.001, high=0.999)
    init_scale: float = lab.setting(
        1e-4, "standard deviation of the initial weights", low=0, high=1e50, exclusive=True
    )
    examples: int = lab.setting(100, "training examples n", low=2, high=100_000)
    step_size: float = lab.setting(4.0, "step size", low=0, high=1e50, exclusive=True)
    steps: int = lab.setting(20_000, "most steps", low=1)

    @property
    @abc.abstractmethod
    def inputs(self) -> int:
        """The length of an example."""

    @property
    def network(self) -> LeakyTwoLayer:
        """The network; its weights are drawn at deviation 1 and scaled afterwards."""
        return LeakyTwoLayer(self.inputs, self.width, self.slope, 1.0)

    def points(self, key: Array, count: int) -> Array:
        """Isotropic points to probe a boundary at, `N(0, I / d)`."""
        return jax.random.normal(key, (count, self.inputs)) / self.inputs**0.5


@dataclass(frozen=True, kw_only=True)
class LevelSettings(lab.Settings):
    """Training that ends at a loss."""

    level: float = lab.setting(0.02, "loss at which training ends", low=0, exclusive=True)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(TrainSettings):
    """A network at small random weights, and data that a linear rule separates: a draw of both."""

    data: str = lab.setting("margin", "where examples come from", choices=DATA)
    dimension: int = lab.setting(20, "length d of an example", low=2, high=100_000)
    margin: float = lab.setting(0.1, "of margin data: the least |x_1|", low=0.001, high=0.9)
    separation: float = lab.setting(
        3.0, "of gaussians: the distance of a center from 0, in their deviation", low=0.1
    )

    def check(self) -> None:
        """Refuse what the data do not have."""
        for name, data in (("margin", "margin"), ("separation", "gaussians")):
            if self.data != data and getattr(self, name) != getattr(type(self), name):
                raise UserError(
                    f"{name} is of data={data} and has no effect with data={self.data}; leave it "
                    "unset"
                )

    @property
    def inputs(self) -> int:
        """`dimension`."""
        return self.dimension

    def sample(self, key: Array, n: int) -> tuple[Array, Array]:
        """`n` examples with their signs."""
        draw = {"balls": self._balls, "gaussians": self._gaussians, "margin": self._margin}
        return draw[self.data](key, n)

    def draw(self, key: Array) -> Problem:
        """Examples, and weights of deviation 1."""
        of_weights, of_data = jax.random.split(key)
        params = self.network.init(of_weights)
        return Problem(params["w"], params["u"], *self.sample(of_data, self.examples))

    def _balls(self, key: Array, n: int) -> tuple[Array, Array]:
        """Two balls around `+-CENTER e_1`: a uniform direction, a uniform radius."""
        signs, directions, radii = jax.random.split(key, 3)
        y = jax.random.rademacher(signs, (n,), float)
        x = jax.random.normal(directions, (n, self.dimension))
        x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
        x = RADIUS * jax.random.uniform(radii, (n, 1)) * x
        return x.at[:, 0].add(CENTER * y), y

    def _gaussians(self, key: Array, n: int) -> tuple[Array, Array]:
        """`(y mu e_1 + N(0, I)) / sqrt(d)`."""
        scale = self.dimension**-0.5
        mean = jnp.zeros(self.dimension).at[0].set(self.separation * scale)
        return GaussianMixture(mean, scale).sample(key, n)

    def _margin(self, key: Array, n: int) -> tuple[Array, Array]:
        """`N(0, I) / sqrt(d)` given that `margin <= |x_1| <= 1`, drawn in to the unit ball."""
        signs, along, across = jax.random.split(key, 3)
        root = self.dimension**0.5
        y = jax.random.rademacher(signs, (n,), float)
        first = jax.random.truncated_normal(along, self.margin * root, root, (n,)) / root
        rest = jax.random.normal(across, (n, self.dimension - 1)) / root
        room = jnp.sqrt(1 - first**2) / jnp.linalg.norm(rest, axis=1)
        return jnp.column_stack([y * first, rest * jnp.minimum(1, room)[:, None]]), y


def drawn(runs: lab.Runs, draw: Callable[[Array], Any], together: int = 16) -> Any:
    """What a function makes of every run's key, as arrays of NumPy."""
    return runs.draw(partial(_mapped, draw), together=together)


@partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def _mapped(draw: Callable[[Array], Any], keys: Array) -> Any:
    return jax.vmap(draw)(keys)


def at_scale(problems: Problem, scale: float) -> Problem:
    """The same problems with weights so many times as large."""
    return problems._replace(w=scale * problems.w, u=scale * problems.u)


def train(settings: TrainSettings, problems: Problem, level: float) -> tuple[Problem, xr.Dataset]:
    """Gradient descent until the loss is at the level, on all problems at once."""
    return _moved(settings, problems, GradientDescent(settings.step_size), level)


def train_long(
    settings: TrainSettings, problems: Problem, level: float
) -> tuple[Problem, xr.Dataset]:
    """Descent with the step size `max(step_size, STEP_OVER_LOSS / loss)`, down to any level."""
    gradient = OverLoss(most=STEP_OVER_LOSS / settings.step_size)
    return _moved(
        settings, problems, OptaxMethod(optax.sgd(STEP_OVER_LOSS), gradient=gradient), level
    )


def _moved(
    settings: TrainSettings, problems: Problem, method: Any, level: float
) -> tuple[Problem, xr.Dataset]:
    loss = TeacherLoss(settings.network)
    ended = simulate(loss, method, problems, settings.steps, stop={"loss": level})
    return ended_at(ended), ended


def ended_at(ended: xr.Dataset) -> Problem:
    """The last parameters of a simulation."""
    return Problem(*(ended[f"final_{name}"].values for name in Problem._fields))


def starts(problems: Problem, scales: Any) -> Problem:
    """Every problem at every scale, one after the other: (run * scale, ...)."""
    stacked = [at_scale(problems, scale) for scale in scales]
    count = len(problems.y) * len(stacked)
    return Problem(*(np.stack(leaves, 1).reshape(count, *leaves[0].shape[1:])
                     for leaves in zip(*stacked, strict=True)))  # fmt: skip


def each(problems: Problem) -> list[Problem]:
    """The problems one by one."""
    return [Problem(*leaves) for leaves in zip(*problems, strict=True)]


def decide(network: LeakyTwoLayer, one: Units, x: np.ndarray) -> np.ndarray:
    """The signs that a network gives to inputs; 1 on the boundary."""
    sums = [np.maximum(z, network.slope * z).sum(axis=1) for z in (x @ one.w.T, x @ one.u.T)]
    return np.where(sums[0] >= sums[1], 1.0, -1.0)
