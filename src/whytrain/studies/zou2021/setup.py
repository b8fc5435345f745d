"""The data of the paper, its network as a landscape, and the optimizers by name."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Int

from whytrain import lab
from whytrain._types import Numeric
from whytrain.dynamics import Epochs, Full, OptaxMethod, log_times, simulate
from whytrain.errors import UserError
from whytrain.landscapes import Landscape, Outcome
from whytrain.report.numbers import number

ZCLG = "Zou, Cao, Li and Gu 2023"
SIGNS = np.array([1.0, -1.0], np.float32)  # the class that each of the two groups of neurons is for
LEARNING_RATES = {"gd": 0.02, "momentum": 0.002, "sign": 5e-5, "adam": 5e-5, "adamw": 5e-5}
TURNING = ("gd", "momentum")  # they do not see the choice of axes


class Sample(NamedTuple):
    """Examples: the first patch of each is `y e_0`, the second one is given.

    Attributes:
        noise: The second patches; coordinates from the last one on are 0 for all.
        y: The labels, 1 or -1.
    """

    noise: Float[Numeric, "n k"]
    y: Float[Numeric, " n"]


class Patches(Landscape):
    """The cross entropy of a two-layer convolutional network on two patches, with weight decay.

        F_j(W, x) = sum_r s(<W[j, r], y e_0>) + s(<W[j, r], noise>),    s(z) = max(z, 0)^power
        loss(W) = mean_i log(1 + exp(-u_i)) + weight_decay |W|^2 / 2,   u_i = y_i (F_0 - F_1)

    with `W` of shape `(2, width, d)`; group 0 is for the label 1, group 1 for -1. An example is
    misclassified where `u_i <= 0`. (Zou, Cao, Li and Gu 2023, section 3.)

    Attributes:
        train: The training examples.
        test: Fresh ones.
        weight_decay: The factor of the penalty, which is part of the loss (coupled).
        power: `q` of the activation, at least 2.
    """

    train: Sample
    test: Sample
    weight_decay: Float[Numeric, ""]
    power: int = eqx.field(static=True, default=3)

    def __len__(self) -> int:
        return len(self.train.y)

    def batch(self, chosen: Int[Numeric, " batch"]) -> Sample:
        """Some of the training examples."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], self.train)

    def loss(self, params: Float[Numeric, "2 m d"]) -> Float[Array, ""]:
        """The loss on all training examples."""
        return self.empirical_loss(params, self.train)

    def empirical_loss(self, params: Float[Numeric, "2 m d"], batch: Sample) -> Float[Array, ""]:
        """The loss on a batch."""
        data = jnp.mean(jax.nn.softplus(-self.margins(params, batch)))
        return data + self.weight_decay * jnp.sum(params**2) / 2

    def grad(self, params: Float[Numeric, "2 m d"]) -> Float[Numeric, "2 m d"]:
        """The gradient in closed form."""
        return self.empirical_grad(params, self.train)

    def empirical_grad(
        self, params: Float[Numeric, "2 m d"], batch: Sample
    ) -> Float[Numeric, "2 m d"]:
        """`weight_decay W - mean_i y_i j / (1 + exp(u_i)) [s'(<w, y_i e_0>) y_i e_0 + ...]`."""
        feature, noise = _products(params, batch)
        margins = self._margins(feature, noise, batch.y)
        pull = -jax.nn.sigmoid(-margins) * batch.y / len(batch.y)
        pull = (pull[:, None] * SIGNS)[..., None] * self.power
        on_noise = pull * jax.nn.relu(noise) ** (self.power - 1)
        on_feature = pull * jax.nn.relu(feature) ** (self.power - 1) * batch.y[:, None, None]
        k, d = batch.noise.shape[1], params.shape[2]
        spread = (on_noise.reshape(len(batch.y), -1).T @ batch.noise).reshape(*params.shape[:2], k)
        first = jnp.arange(d) == 0
        return (
            self.weight_decay * params
            + jnp.pad(spread, ((0, 0), (0, 0), (0, d - k)))
            + jnp.where(first, on_feature.sum(0)[..., None], 0)
        )

    def margins(self, params: Float[Numeric, "2 m d"], batch: Sample) -> Float[Array, " n"]:
        """`u_i`, above 0 where an example is classified right."""
        return self._margins(*_products(params, batch), batch.y)

    def _margins(self, feature: Array, noise: Array, y: Numeric) -> Float[Array, " n"]:
        outputs = (jax.nn.relu(feature) ** self.power + jax.nn.relu(noise) ** self.power).sum(-1)
        return y * (outputs[:, 0] - outputs[:, 1])

    def observables(self) -> dict[str, Callable]:
        """Loss, features, memory of noise, errors, and sizes."""
        return {name: functools.partial(_OBSERVED[name], self) for name in _OBSERVED}

    def outcome(self, params: Any) -> Int[np.ndarray, " run"]:
        """Nothing is known of where the minima are."""
        finite = np.isfinite(np.reshape(params, (len(params), -1))).all(axis=1)
        return np.where(finite, Outcome.UNDECIDED, Outcome.DIVERGED).astype(np.int8)


def _products(params: Numeric, batch: Sample) -> tuple[Array, Array]:
    """Of each neuron with both patches of each example, `(n, 2, m)`."""
    k = batch.noise.shape[1]
    flat = jnp.asarray(params)[..., :k].reshape(-1, k)
    noise = (batch.noise @ flat.T).reshape(-1, *params.shape[:2])
    return jnp.asarray(batch.y)[:, None, None] * params[..., 0], noise


def _error(scape: Patches, params: Numeric, batch: Sample) -> Array:
    return jnp.mean(scape.margins(params, batch) <= 0)


def _features(params: Numeric) -> Array:
    """`Lambda_j = max_r <W[j, r], j e_0>`, of both classes."""
    return (jnp.asarray(params)[..., 0] * SIGNS[:, None]).max(axis=1)


def _memory(scape: Patches, params: Numeric) -> Array:
    """`Gamma_i = max_r <W[y_i, r], noise_i>`."""
    noise = _products(params, scape.train)[1].max(axis=2)
    return jnp.where(jnp.asarray(scape.train.y) > 0, noise[:, 0], noise[:, 1])


def _without_noise(scape: Patches, params: Numeric) -> Array:
    blank = Sample(jnp.zeros((2, 1), params.dtype), jnp.asarray(SIGNS))
    return _error(scape, params, blank)


_OBSERVED: dict[str, Callable] = {
    "loss": Patches.loss,
    "feature_least": lambda scape, w: _features(w).min(),
    "feature_most": lambda scape, w: _features(w).max(),
    "memory_least": lambda scape, w: _memory(scape, w).min(),
    "memory_most": lambda scape, w: _memory(scape, w).max(),
    "train_error": lambda scape, w: _error(scape, w, scape.train),
    "test_error": lambda scape, w: _error(scape, w, scape.test),
    "blank_error": _without_noise,
    "slope_sum": lambda scape, w: jnp.abs(scape.grad(w)).sum(),
    "weight_norm": lambda scape, w: jnp.sqrt(jnp.sum(w**2)),
}
NAMES = (*_OBSERVED, "gradient_norm")


@dataclass(frozen=True, kw_only=True)
class DataSettings(lab.Settings):
    """A draw of data and initial weights; the defaults are those that are remembered."""

    weight_decay: float = lab.setting(1e-5, "weight decay lambda", low=0)
    feature_noise: float = lab.setting(0.2, "alpha, of the feature in the noise", low=0, high=1)
    samples: int = lab.setting(200, "training examples n, half of each class", low=2, high=100_000)
    dimension: int = lab.setting(1000, "length d of a patch", low=3, high=100_000)
    sparsity: int = lab.setting(100, "coordinates s of a noise patch", low=1, high=100_000)
    noise_size: lab.Derived[float] = lab.setting(None, "sigma_p; default 1/sqrt(s)", low=0)
    init_size: float = lab.setting(0.01, "sigma_0, of the initial weights", low=0, exclusive=True)
    width: int = lab.setting(20, "neurons m of each class", low=1, high=100_000)
    steps: int = lab.setting(10_000, "number of steps", low=2)
    test_samples: int = lab.setting(2000, "fresh examples of the test error", low=2, high=100_000)

    def check(self) -> None:
        """The default of the noise, and rules of several settings."""
        self.derive("noise_size", 1 / math.sqrt(self.sparsity))
        if self.samples % 2 or self.test_samples % 2:
            raise UserError("samples and test_samples must be even: half of each class")
        if self.sparsity >= self.dimension:
            raise UserError(
                f"sparsity must be below dimension = {self.dimension}, got {self.sparsity}"
            )


@dataclass(frozen=True, kw_only=True)
class MethodSettings(DataSettings):
    """How the network moves."""

    optimizer: str = lab.setting("adam", "how it moves", choices=tuple(LEARNING_RATES))
    power: int = lab.setting(3, "q of the activation", low=2, high=9)
    learning_rate: lab.Derived[float] = lab.setting(
        None, "step size; default by the optimizer: "
        + ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items()),
        low=0, exclusive=True,
    )  # fmt: skip
    batch_size: int = lab.setting(0, "examples a step; 0 for all", low=0)

    def check(self) -> None:
        """The default of the step size, and that a batch is no larger than the sample."""
        super().check()
        self.derive("learning_rate", LEARNING_RATES[self.optimizer])
        if self.batch_size > self.samples:
            raise UserError(
                f"batch_size must be at most samples = {self.samples}, got {self.batch_size}"
            )

    @property
    def method(self) -> OptaxMethod:
        """The optimizer."""
        decay = self.weight_decay if self.optimizer == "adamw" else 0.0
        return _method(self.optimizer, self.learning_rate, decay, self.batch_size)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(MethodSettings):
    """One training, looked at over time."""

    times: int = lab.setting(24, "times at which it is looked at, log-spaced", low=2)


@functools.cache  # the same object again, or the loop would be compiled again
def _method(name: str, rate: float, decay: float, batch: int) -> OptaxMethod:
    move = {
        "gd": lambda: optax.sgd(rate),
        "momentum": lambda: optax.sgd(rate, momentum=0.9),
        "sign": lambda: optax.sign_sgd(rate),
        "adam": lambda: optax.adam(rate),
        "adamw": lambda: optax.adamw(rate, weight_decay=decay),
    }[name]()
    return OptaxMethod(move, gradient=Epochs(batch) if batch else Full())


class Problem(NamedTuple):
    """What a run starts from, and what it learns."""

    start: Float[Numeric, "2 m d"]
    train: Sample
    test: Sample


def problems(settings: Any, runs: lab.Runs) -> list[Problem]:
    """Data and initial weights of each run.

    Each noise patch has `s` normal numbers at random places other than 0, and `-alpha y` at 0.
    """
    sizes = (settings.samples, settings.test_samples, settings.dimension, settings.width)
    numbers = (settings.sparsity, settings.noise_size, settings.feature_noise, settings.init_size)
    drawn = runs.draw(functools.partial(_draw, sizes), numbers, together=1)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], drawn) for i in range(len(runs))]


@functools.partial(jax.jit, static_argnums=0)
def _draw(sizes: tuple[int, ...], keys: Array, numbers: tuple) -> Problem:
    n, tests, d, m = sizes
    s, *floats = numbers
    noise_size, alpha, init_size = (jnp.asarray(x, jnp.float32) for x in floats)

    def sample(key: Array, n: int) -> Sample:
        of_places, of_values = jax.random.split(key)
        rank = jax.random.uniform(of_places, (n, d - 1), jnp.float64)
        rank = jax.lax.bitcast_convert_type(rank, jnp.int64)  # in the same order, sorted faster
        chosen = rank <= jnp.sort(rank, axis=1)[:, s - 1][:, None]
        normal = jax.random.normal(of_values, (n, d - 1), jnp.float32) * noise_size
        y = jnp.repeat(jnp.asarray(SIGNS), n // 2)
        noise = jnp.where(chosen, normal, 0)
        return Sample(jnp.concatenate([-alpha * y[:, None], noise], axis=1), y)

    def one(key: Array) -> Problem:
        of_start, of_train, of_test = jax.random.split(key, 3)
        start = init_size * jax.random.normal(of_start, (2, m, d), jnp.float32)
        return Problem(start, sample(of_train, n), sample(of_test, tests))

    return jax.vmap(one)(keys)


def turned(problem: Problem) -> Problem:
    """The same problem along axes of which the training data touch the first `n + 1` only.

    Axis 0 stays. Gradient descent and momentum take the same path in any orthonormal basis, and
    the gradient costs as much less as there are fewer coordinates; where there are as many examples
    as coordinates the problem stays as it is. Methods that work coordinate by coordinate take
    another path.
    """
    n, d = problem.train.noise.shape
    if n + 1 >= d:
        return problem
    axes = np.vstack([np.eye(1, d), problem.train.noise]).T
    basis = np.linalg.qr(axes, mode="complete")[0]
    basis = (basis * np.where(np.arange(d) == 0, np.sign(basis[0, 0]), 1)).astype(np.float32)
    noise = problem.train.noise @ basis[:, : n + 1]
    test = problem.test._replace(noise=problem.test.noise @ basis)
    return Problem(problem.start @ basis, problem.train._replace(noise=noise), test)


def train(settings: Any, runs: lab.Runs) -> xr.Dataset:
    """Train the network once a run, each on data of its own; all of `NAMES` over time."""
    found = problems(settings, runs)
    if settings.optimizer in TURNING:
        found = [turned(problem) for problem in found]
    times = log_times(settings.steps, settings.times)
    ended = descend(settings, runs, found, Patches, NAMES, times)
    return ended[[*NAMES]]


def descend(
    settings: Any, runs: lab.Runs, found: list[Problem], landscape: Callable, names: Any,
    times: np.ndarray,
) -> xr.Dataset:  # fmt: skip
    """What `simulate` gives on a landscape of each of some problems."""
    decay = np.float32(0 if settings.optimizer == "adamw" else settings.weight_decay)
    return simulate(
        [landscape(each.train, each.test, decay, settings.power) for each in found],
        settings.method, np.stack([each.start for each in found]), settings.steps,
        observables=names, times=times, dtype=np.float32, keys=runs.keys(),
    )  # fmt: skip


TRAINING = lab.Experiment(
    name="separation",
    doc="train the network by one optimizer on the paper's data, and look at it over time",
    settings=TrainingSettings,
    compute=train,
    runs=8,
    block=16,
)
# Two fifths of the coordinates, a quarter of the examples: the same is seen in less time.
SMALL: dict[str, Any] = {"samples": 50, "dimension": 400, "sparsity": 40}
SMALL_RATES = {"gd": 0.1, "adam": 2e-4, "adamw": 2e-4, "sign": 2e-4, "momentum": 0.01}
SMALL_STEPS = {"gd": 5000, "adam": 2500, "adamw": 2500, "sign": 2500, "momentum": 5000}


def small(presets: dict, /, **axes: Any) -> lab.Grid:
    """The training in the small setting, over axes that begin with the optimizer."""
    return TRAINING.grid(
        presets, **axes, learning_rate=lambda at: SMALL_RATES[at.optimizer],
        steps=lambda at: SMALL_STEPS[at.optimizer], **SMALL,
    )  # fmt: skip


def last(cells: lab.Cells, name: str) -> np.ndarray:
    """A number at the end of all runs."""
    if not len(cells):
        raise UserError("there are no runs of one side of the comparison: leave its settings unset")
    return np.concatenate([cell.data[name].values[:, -1] for cell in cells])


def mean(name: str, **settings: Any) -> Callable[[lab.Cells], lab.Estimate]:
    """The mean of a number at the end, at some settings, known to one example or to float32."""

    def measure(cells: lab.Cells) -> lab.Estimate:
        chosen = cells.sel(**settings)
        values, at = last(chosen, name), chosen[0].settings
        examples = {"test_error": at.test_samples, "train_error": at.samples}
        return lab.estimate_mean(values, resolution=1 / examples.get(name, 1 << 23))

    return measure


def planted(name: str, value: float, **settings: Any) -> lab.Fault:
    """A fault: a number has this value in the runs at some settings."""

    def near(values: np.ndarray) -> np.ndarray:
        # Nearly: values that are all alike would bound nothing.
        return value + 1e-3 * np.linspace(-1, 1, values.size).reshape(values.shape)

    what = f"{WORDS.get(name, name)} is {value:g}, {at_settings(settings)}"
    return lab.Fault(what, lab.altered(name, near, **settings))


WORDS = {
    "test_error": "test error",
    "train_error": "training error",
    "blank_error": "error without noise",
    "memory_most": "the largest $Γ$",
    "feature_least": "the least $Λ$",
}
"""What numbers are called in words; those that are missing are their own name."""


def at_settings(settings: Mapping[str, Any]) -> str:
    """Settings in words."""
    return ", ".join(_told(name, value) for name, value in settings.items())


def _told(name: str, value: Any) -> str:
    if name == "optimizer":
        return {"adam": "Adam", "adamw": "AdamW", "gd": "gradient descent"}[value]
    if name == "batch_size":
        return f"batches of {value}" if value else "all examples a step"
    letter = {"weight_decay": "λ", "feature_noise": "α"}[name]
    return f"${letter} = {number(value)}$"
