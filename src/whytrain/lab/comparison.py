"""Is one optimizer better than another here, or is it the step size, or the seed?"""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from whytrain._lazy import later
from whytrain._tables import Documented
from whytrain.errors import UserError
from whytrain.lab.statistics import HUGE, Estimate, estimate_mean, estimate_rate

optimize = later("scipy.optimize")
stats = later("scipy.stats")

POWER = 0.8  # with which the smallest visible difference is seen
FRESH = 2  # seeds on which a trial's setting is looked at, after it was chosen on others

Train = Callable[[str, float, float, int], Any]
Setting = tuple[float, float]  # learning rate and weight decay


class Curve(NamedTuple):
    """A training: what it minimized, and what is compared, at the same looks.

    Attributes:
        loss: Training losses.
        score: What is compared; the lower, the better.
    """

    loss: Float[np.ndarray, " look"]
    score: Float[np.ndarray, " look"]

    @property
    def end(self) -> float:
        """The last score; infinite for a training that broke down, beyond all bounds or to NaN."""
        fine = abs(self.score[-1]) < HUGE and abs(self.loss[-1]) < HUGE
        return float(self.score[-1]) if fine else math.inf

    @property
    def seen(self) -> tuple[Float[np.ndarray, " look"], Float[np.ndarray, " look"]]:
        """Losses and scores, without the looks that broke down or have no score."""
        fine = (np.abs(self.loss) < HUGE) & (np.abs(self.score) < HUGE)
        return self.loss[fine], self.score[fine]

    def at(self, loss: float) -> float:
        """The score where the training loss first comes down to a value, between two looks."""
        losses, scores = self.seen
        place = int(np.argmax(losses <= loss))
        if place == 0:
            return float(scores[0])
        (high, low), (before, after) = losses[place - 1 : place + 1], scores[place - 1 : place + 1]
        return float(after + (loss - low) / (high - low) * (before - after))


@dataclass(frozen=True, eq=False)
class Trial:
    """A method's search, and what came of the setting that it chose.

    Attributes:
        setting: Learning rate and weight decay; None where every run of the search broke down.
        curves: Trainings with it, on fresh seeds.
    """

    setting: Setting | None
    curves: tuple[Curve, ...]

    @property
    def fails(self) -> bool:
        """Whether there is no number to compare."""
        return self.setting is None or any(math.isinf(curve.end) for curve in self.curves)


@dataclass(frozen=True)
class Pair:
    """Two methods side by side.

    Attributes:
        first: A method.
        second: Another one.
        difference: Of the mean score, first minus second, at equal training loss, trial by trial;
            unknown where a training broke down. Its level is corrected for the number of pairs.
        at_end: The same at the end of training.
        first_won: The share of the trials in which the first had the lower score, or the second
            broke down; ties count for none.
        word: `"better"`, `"worse"`, or `"cannot tell"`: of the first.
    """

    first: str
    second: str
    difference: Estimate
    at_end: Estimate
    first_won: Estimate
    word: str


@dataclass(repr=False, frozen=True, eq=False)
class Comparison(Documented):
    """What `compare_optimizers` finds.

    Attributes:
        trials: By method, its trials.
        budget: Runs of each search.
        learning_rates: The range that was searched.
        weight_decays: The range that was searched.
        level: The probability with which all intervals of all pairs cover.
        matched: Whether trainings gave losses, at which to compare.
    """

    trials: Mapping[str, tuple[Trial, ...]]
    budget: int
    learning_rates: tuple[float, float]
    weight_decays: tuple[float, float]
    level: float
    matched: bool

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The methods."""
        return tuple(self.trials)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every two of the methods, the intervals corrected for their number (Bonferroni)."""
        both = list(combinations(self.optimizers, 2))
        level = 1 - (1 - self.level) / len(both)
        return tuple(self._pair(first, second, level) for first, second in both)

    def _pair(self, first: str, second: str, level: float) -> Pair:
        both = list(zip(self.trials[first], self.trials[second], strict=True))
        ends = np.array([[_end(trial) for trial in pair] for pair in both])
        wins, losses = (int(np.sum(d)) for d in (ends[:, 0] < ends[:, 1], ends[:, 0] > ends[:, 1]))
        won = estimate_rate(wins, wins + losses, level) if wins + losses else Estimate.unknown(0)
        if any(trial.fails for pair in both for trial in pair):
            unknown = Estimate.unknown(len(both)).at(level)
            return Pair(first, second, unknown, unknown, won, _word(won, 0.5, better_above=True))
        at_end = estimate_mean(ends[:, 0] - ends[:, 1], level)
        matched = [_matched(*pair) for pair in both]
        difference = estimate_mean(matched, level) if self.matched else at_end
        return Pair(first, second, difference, at_end, won, _word(difference, 0.0))

    def failures(self, name: str) -> int:
        """In how many trials of a method a training broke down that was to be compared."""
        return sum(trial.fails for trial in self.trials[name])

    def spread(self, name: str) -> tuple[float, float]:
        """Standard deviations of the last score: from seed to seed, and from search to search.

        Each search is another draw of settings and seeds. Both are NaN where a training broke down.
        """
        if self.failures(name):
            return math.nan, math.nan
        ends = np.array([[curve.end for curve in trial.curves] for trial in self.trials[name]])
        within = ends.var(axis=1, ddof=1).mean()
        between = ends.mean(axis=1).var(ddof=1) - within / ends.shape[1]
        return math.sqrt(within), math.sqrt(max(between, 0.0))

    @property
    def sentence(self) -> str:
        """The answer."""
        told = {"better": [], "cannot tell": []}
        for pair in self.pairs:
            better, worse = (
                (pair.second, pair.first) if pair.word == "worse" else (pair.first, pair.second)
            )
            kind = "cannot tell" if pair.word == "cannot tell" else "better"
            told[kind].append((better, worse))
        words = []
        for name in self.optimizers:
            beaten = [worse for better, worse in told["better"] if better == name]
            if beaten:
                words.append(f"{name} is better than {_listed(beaten)}")
        if told["cannot tell"]:
            apart = _listed([f"{one} from {other}" for one, other in told["cannot tell"]])
            words.append(f"these runs cannot tell {apart}")
        return "; ".join(words) + "."

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "sentence": self.sentence,
            "compared_at": "equal training loss" if self.matched else "the end of training",
            "level": self.level,
            "trials": len(next(iter(self.trials.values()))),
            "budget": self.budget,
            "fresh_runs": FRESH,
            "learning_rates": list(self.learning_rates),
            "weight_decays": list(self.weight_decays),
            "optimizers": {name: self._of(name) for name in self.optimizers},
            "pairs": [_told(pair) for pair in self.pairs],
        }

    def _of(self, name: str) -> dict[str, Any]:
        trials = self.trials[name]
        settings = [trial.setting for trial in trials if trial.setting is not None]
        rates, decays = zip(*settings, strict=True) if settings else ((), ())
        seed, search = self.spread(name)
        broken = self.failures(name)
        ends = [_end(trial) for trial in trials if not trial.fails]
        return {
            "score": float(np.mean(ends)) if ends else None,
            "broke_down": broken,
            "learning_rates": list(rates),
            "weight_decays": list(decays),
            "deviation_seed": None if broken else seed,
            "deviation_search": None if broken else search,
        }


def compare_optimizers(
    train: Train,
    optimizers: Sequence[str],
    *,
    learning_rates: tuple[float, float] = (1e-4, 1.0),
    weight_decays: tuple[float, float] = (0.0, 0.0),
    budget: int | Mapping[str, int] = 8,
    trials: int = 10,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare optimizers on a user's own training, each as well tuned as the other.

    A trial of a method is a whole search: `budget` runs at settings from the one search space, each
    on a seed of its own, then two runs at the setting with the lowest last score, on seeds that no
    search has seen. Trials are independent, and trial `i` of every method has the same settings and
    seeds, so that methods are compared trial by trial. An interval therefore covers what the search
    happens to find as well as what the seed does, and two copies of one method are called different
    with probability `1 - level` at most (exactly so for normal differences).

    Trainings that give their losses are compared at the lowest training loss that both reach.

    Args:
        train: `train(optimizer, learning_rate, weight_decay, seed)` gives the score that is
            compared, the lower the better, or `{"loss": ..., "score": ...}`: training losses, and
            scores at the same looks. It must be a function of its arguments and nothing else.
        optimizers: The names to call it with; two or more.
        learning_rates: The range of the search, `low <= high`, above 0; uniform in the logarithm.
        weight_decays: The same; a range that starts at 0 is searched uniformly.
        budget: Runs of a search, the same for all.
        trials: Searches a method.
        level: The probability with which all intervals together cover.
        seed: Of the searches. Trainings get `0, 1, 2, ...` from a multiple of it on.
        progress: Is told a line at a time: first what can be seen, then how far it is.

    Returns:
        The comparison.

    Raises:
        UserError: A number is out of range, budgets differ, a name comes twice, or `train` gives
            something else.

    Example:
        >>> def train(optimizer, learning_rate, weight_decay, seed):
        ...     noise = np.random.default_rng([len(optimizer), seed]).normal()
        ...     return (np.log10(learning_rate) + 2) ** 2 + (optimizer == "slow") + 0.1 * noise
        >>> found = compare_optimizers(train, ["slow", "quick"], seed=1)
        >>> found.sentence
        'quick is better than slow.'
    """
    names = _checked_names(optimizers)
    tuned = _checked_budget(budget, names)
    space = (
        _checked_range("learning_rates", learning_rates, positive=True),
        _checked_range("weight_decays", weight_decays, positive=False),
    )
    if not callable(train):
        raise UserError(f"train must be a function, got {train!r:.60}")
    _check_whole("seed", seed, 0)
    _check_whole("trials", trials, 2)  # one search has no spread
    if not isinstance(level, numbers.Real) or not 0 < level < 1:
        raise UserError(f"level must lie between 0 and 1, got {level!r}")
    say = progress or (lambda line: None)
    say(plan_text(len(names), tuned, trials, level))
    found: dict[str, list[Trial]] = {name: [] for name in names}
    for trial in range(trials):
        settings = _settings(space, tuned, [seed, trial])
        first = (seed * trials + trial) * (tuned + FRESH)
        for name in names:
            found[name].append(_trial(train, name, settings, first))
        say(f"trial {trial + 1} of {trials}")
    done = {name: tuple(each) for name, each in found.items()}
    curves = [curve for each in done.values() for one in each for curve in one.curves]
    matched = bool(curves) and all(len(curve.loss) > 1 for curve in curves)
    return Comparison(done, tuned, *space, level, matched)


def smallest_difference(trials: int, pairs: int = 1, level: float = 0.95) -> float:
    """The difference that paired trials see with probability 0.8, in standard deviations.

    In those of a difference within a trial, by the noncentral t distribution: `delta` with
    `P(t(trials - 1, delta sqrt(trials)) > t*) = 0.8`, `t*` the quantile of the corrected level.

    Args:
        trials: How many differences there are.
        pairs: Among how many comparisons the error is divided.
        level: The probability with which all of them cover.

    Example:
        >>> f"{smallest_difference(10):.2f} {smallest_difference(10, pairs=10):.2f}"
        '1.00 1.48'
    """
    freedom, root = trials - 1, math.sqrt(trials)
    limit = float(stats.t.isf((1 - level) / pairs / 2, freedom))

    def lacking(delta: float) -> float:
        return float(stats.nct.sf(limit, freedom, delta * root)) - POWER

    enough = 1.0
    while lacking(enough) < 0:
        enough *= 2
    return float(optimize.root_scalar(lacking, bracket=(0.0, enough)).root)


def difference_at(
    means: tuple[float, float], runs: tuple[int, int], deviation: float, level: float = 0.95
) -> Estimate:
    """The difference of two means, first minus second, where a run's deviation is known.

        (mean_1 - mean_2) +- z deviation sqrt(1 / runs_1 + 1 / runs_2)

    For the tables that others publish: means, numbers of runs, and a deviation from many runs.

    Args:
        means: Of the first, of the second.
        runs: How many runs each is over.
        deviation: The standard deviation of a run.
        level: The probability with which the interval covers.

    Raises:
        UserError: A number of runs is below 1, or the deviation not above 0.

    Example:
        >>> found = difference_at((3.28, 3.27), (4, 4), 0.002)
        >>> print(f"{found.value:.4f} {found.low:.4f} {found.high:.4f}")
        0.0100 0.0072 0.0128
    """
    if min(runs) < 1 or not deviation > 0:
        raise UserError(
            f"runs must be 1 or more and the deviation above 0, got {runs} and {deviation}"
        )
    value, error = means[0] - means[1], deviation * math.sqrt(sum(1 / n for n in runs))

    def ends(miss: float) -> tuple[float, float]:
        half = float(stats.norm.isf(miss / 2)) * error
        return value - half, value + half

    return Estimate.of(value, sum(runs), ends, level)


def plan_text(methods: int, budget: int, trials: int, level: float) -> str:
    """What a comparison costs, and the smallest difference that it can see."""
    pairs = math.comb(methods, 2)
    least = smallest_difference(trials, pairs, level)
    return (
        f"{methods} methods x {trials} trials x ({budget} runs to tune + {FRESH} fresh) = "
        f"{methods * trials * (budget + FRESH)} runs; a difference is seen with probability "
        f"{POWER:g} from {least:.2f} standard deviations of a trial's difference on "
        f"(level {level:g} over {pairs} pair{'s' * (pairs > 1)})"
    )


def _checked_names(optimizers: Sequence[str]) -> tuple[str, ...]:
    names = (optimizers,) if isinstance(optimizers, str) else tuple(optimizers or ())
    if len(names) < 2:
        raise UserError(f"give two optimizers or more to compare, got {list(names)}")
    if len(set(names)) < len(names):
        raise UserError(f"every optimizer needs a name of its own, got {list(names)}")
    return names


def _checked_budget(budget: int | Mapping[str, int], names: Sequence[str]) -> int:
    if isinstance(budget, Mapping):
        if set(budget) != set(names):
            raise UserError(f"budget must name {list(names)}, got {sorted(budget)}")
        if len(set(budget.values())) > 1:
            raise UserError(
                f"all methods must have the same budget, or the better tuned one wins; got "
                f"{dict(budget)}"
            )
        budget = budget[names[0]]
    _check_whole("budget", budget, 1)
    return budget


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, numbers.Integral) or value < least:
        raise UserError(f"{name} must be {least} or more, a whole number, got {value!r}")


def _real(given: Any, of: str) -> np.ndarray:
    try:
        found = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of several lengths, tensors
        raise UserError(f"{of} must be real numbers ({' '.join(str(error).split())})") from None
    if found.dtype.kind in "cmMOSU":
        raise UserError(f"{of} must be real numbers, got {found.dtype}")
    return found.astype(float)


def _checked_range(name: str, given: tuple[float, float], *, positive: bool) -> Setting:
    ends = _real(given, name)
    low, high = map(float, ends) if ends.shape == (2,) else (math.nan, math.nan)
    if not (0 <= low <= high < math.inf) or (positive and low == 0):
        above = "above 0" if positive else "0 or above"
        raise UserError(f"{name} must be (low, high), {above}, low <= high, got {given!r:.60}")
    return low, high


def _settings(space: tuple[Setting, Setting], count: int, seed: list[int]) -> list[Setting]:
    """Points that fill the search space evenly, others for every seed."""
    unit = stats.qmc.Halton(2, rng=np.random.default_rng(seed)).random(count)
    columns = []
    for (low, high), u in zip(space, unit.T, strict=True):
        even = low + (high - low) * u
        columns.append(low * (high / low) ** u if low > 0 else even)
    return [(float(rate), float(decay)) for rate, decay in zip(*columns, strict=True)]


def _trial(train: Train, name: str, settings: Sequence[Setting], first: int) -> Trial:
    """A search on seeds from `first` on, and its choice on the next ones."""
    ends = [
        _curve(train, name, setting, first + place).end for place, setting in enumerate(settings)
    ]
    if not math.isfinite(min(ends)):
        return Trial(None, ())
    best = settings[int(np.argmin(ends))]
    fresh = range(first + len(settings), first + len(settings) + FRESH)
    return Trial(best, tuple(_curve(train, name, best, seed) for seed in fresh))


def _curve(train: Train, name: str, setting: Setting, seed: int) -> Curve:
    given = train(name, *setting, seed)
    loss, score = (given, given) if not isinstance(given, Mapping) else _parts(given)
    parts = [_numbers(what, part) for what, part in (("loss", loss), ("score", score))]
    if len(parts[0]) != len(parts[1]):
        raise UserError(
            f"train must give losses and scores at the same looks, got {len(parts[0])} and "
            f"{len(parts[1])}"
        )
    return Curve(*parts)


def _parts(given: Mapping[str, Any]) -> tuple[Any, Any]:
    if not {"loss", "score"} <= set(given):
        raise UserError(
            f"train must give a number, or a dictionary with 'loss' and 'score'; got {list(given)}"
        )
    return given["loss"], given["score"]


def _numbers(what: str, given: Any) -> np.ndarray:
    values = np.atleast_1d(_real(given, f"the {what} that train gives ({given!r:.40})"))
    if values.ndim != 1 or not values.size:
        raise UserError(f"train must give one {what} a look, got an array of shape {values.shape}")
    return values


def _end(trial: Trial) -> float:
    """The mean last score; infinite where a training broke down."""
    return math.inf if trial.fails else float(np.mean([curve.end for curve in trial.curves]))


def _matched(one: Trial, other: Trial) -> float:
    """The mean difference of the scores, seed by seed, at the lowest loss that both reach."""
    found = []
    for pair in zip(one.curves, other.curves, strict=True):
        loss = max(curve.seen[0].min() for curve in pair)
        first, second = (curve.at(loss) for curve in pair)
        found.append(first - second)
    return float(np.mean(found))


def _word(estimate: Estimate, at: float, *, better_above: bool = False) -> str:
    low, high = estimate.interval
    if low > at or high < at:
        return "better" if (low > at) == better_above else "worse"
    return "cannot tell"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _told(pair: Pair) -> dict[str, Any]:
    def interval(estimate: Estimate) -> dict[str, float | None]:
        ends = estimate.document().items()
        return {key: value if math.isfinite(value) else None for key, value in ends}

    return {
        "first": pair.first,
        "second": pair.second,
        "first_is": pair.word,
        "difference": interval(pair.difference),
        "at_end": interval(pair.at_end),
        "first_won": interval(pair.first_won),
        "level": pair.difference.level,
    }
