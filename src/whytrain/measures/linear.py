"""How linear a decision is: its agreement with the best linear rule, and with a linear SVM."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from whytrain._lazy import later
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64
from whytrain.measures.clusters import checked_inputs, checked_signs

stats = later("scipy.stats")


@dataclass(frozen=True)
class LinearAgreement:
    """On which share of fresh probes a linear rule decides as a network does.

    Attributes:
        share: The share, on the half of the probes that the rule has not seen.
        low: The lower end of its exact 95 % interval.
        high: The upper end.
        normal: The rule, `sign(normal . x)`, of length 1.
    """

    share: float
    low: float
    high: float
    normal: Float[np.ndarray, " d"]


def linear_agreement(
    x: ArrayLike, decisions: ArrayLike, candidates: ArrayLike | None = None
) -> LinearAgreement:
    """The agreement of decisions with the best linear rule through the origin that is found.

    A logistic regression is fitted to the first half of the probes, and it or a candidate is chosen
    there; the second half says how well it agrees. So the share is one that is reached, with
    an interval of sampling alone; a rule that is better still may exist, since the best one is hard
    to find.

    Args:
        x: Probes in random order, (probe, d).
        decisions: What a network says of each: -1 or 1.
        candidates: (rule, d): further normals to try, such as `weight_clusters(...).normal`.

    Raises:
        UserError: There are fewer than 4 probes, a decision is neither -1 nor 1, or the shapes do
            not fit.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((1000, 3))
        >>> linear_agreement(x, np.sign(x[:, 0]), [[1.0, 0.0, 0.0]]).share
        1.0
    """
    inputs = checked_inputs(x)
    signs = checked_signs(decisions, len(inputs))
    if len(inputs) < 4:
        raise UserError(f"linear_agreement needs 4 probes or more, got {len(inputs)}")
    half = len(inputs) // 2
    rules = [*_candidates(candidates, inputs.shape[1]), _fitted(inputs[:half], signs[:half])]
    agrees = [np.mean(_decided(rule, inputs[:half]) == signs[:half]) for rule in rules]
    best = rules[int(np.argmax(agrees))]
    hits = int(np.sum(_decided(best, inputs[half:]) == signs[half:]))
    within = stats.binomtest(hits, len(inputs) - half).proportion_ci(0.95)
    normal = best / (np.linalg.norm(best) or 1.0)
    return LinearAgreement(hits / (len(inputs) - half), within.low, within.high, normal)


def linear_svm(x: ArrayLike, y: ArrayLike, penalty: float = 100.0) -> Float[np.ndarray, " d"]:
    """The normal of a linear support vector machine through the origin, of length 1.

    `min |n|^2 / 2 + penalty * sum_i max(0, 1 - y[i] n . x[i])` by scikit-learn's
    `LinearSVC`. Data need not be separable; for those that are, `max_margin` is exact.

    Args:
        x: (example, d).
        y: -1 or 1 an example; both occur.
        penalty: What a violated margin costs.

    Raises:
        UserError: The arrays do not fit, one class is missing, the solver does not converge, or
            its normal is 0.

    Example:
        >>> print(linear_svm([[3.0, 1.0], [-3.0, -1.0]], [1, -1]).round(3))
        [0.949 0.316]
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    inputs = checked_inputs(x)
    signs = checked_signs(y, len(inputs))
    if len(np.unique(signs)) < 2:
        raise UserError("linear_svm needs examples of both classes")
    machine = LinearSVC(
        C=penalty, loss="hinge", fit_intercept=False, max_iter=100_000, random_state=0, tol=1e-6
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            normal = machine.fit(inputs, signs).coef_[0]
        except ConvergenceWarning:
            raise UserError(
                f"the linear SVM did not converge at penalty={penalty:g}; take a smaller one"
            ) from None
    length = np.linalg.norm(normal)
    if not length:
        raise UserError("the linear SVM has the normal 0: do the inputs of both classes differ?")
    return normal / length


def _candidates(candidates: ArrayLike | None, width: int) -> list[np.ndarray]:
    given = np.empty((0, width)) if candidates is None else as_float64(candidates, "candidates")
    if given.ndim != 2 or given.shape[1] != width:
        raise UserError(f"candidates must be (rule, {width}), got shape {given.shape}")
    return list(given)


def _fitted(x: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """A logistic regression through the origin; any rule if there is one class alone."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(signs)) < 2:
        return signs[0] * x.mean(axis=0)
    scale = np.sqrt(np.mean(x**2)) or 1.0
    fitted = LogisticRegression(C=1e3, fit_intercept=False, max_iter=500).fit(x / scale, signs)
    return fitted.coef_[0]


def _decided(normal: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.where(x @ normal >= 0, 1.0, -1.0)
