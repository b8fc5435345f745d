"""Where the gradient vanishes, and what is there: tested by walking away from it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import quick
from landscapes.cases import teacher
from whytrain.dynamics import GradientDescent, NormalizedGradientDescent, simulate
from whytrain.errors import UserError
from whytrain.gaussian import Quadrature, ReLU
from whytrain.gaussian.relu import arc_cosine
from whytrain.landscapes import Outcome, SharedFilter, SphereOrder, SphereReduction, Weights
from whytrain.landscapes.rule import NORMALIZED_DESCENT

K, P = 9, 4
BELOW, ABOVE = 0.8, 1.25  # S^2/A over the threshold (k + pi - 1) / pi


def network(share, shortcut=False, norm=2.0):
    alignment = share * (K + math.pi - 1) / math.pi
    addition = np.full(P, 1 / math.sqrt(P)) if shortcut else None
    return SharedFilter(*teacher(K, P, alignment, norm), shortcut=addition)


def reduction(k, alignment, norm=1.0):
    return SphereReduction.of_sums(k, norm * math.sqrt(alignment), norm**2, ReLU())


def by_kind(landscape):
    points = {point.kind: point for point in landscape.critical_points()}
    assert len(points) == len(landscape.critical_points())
    return points


def around(landscape, point, scale, count, outputs_too=True):
    """Losses at random weights of the sphere within about `scale` of a point."""
    rng = np.random.default_rng(0)
    length = scale * stats.uniform.rvs(size=(count, 1), random_state=rng)
    filters = rng.standard_normal((count, P)) / math.sqrt(P)
    outputs = outputs_too * rng.standard_normal((count, K)) / math.sqrt(K)

    def loss(f, a):
        moved = Weights(point.params.filter + f, point.params.output + a)
        return landscape.loss(landscape.retract(moved))

    losses = jax.jit(jax.vmap(loss))
    return np.asarray(losses(jnp.asarray(length * filters), jnp.asarray(length * outputs)))


@pytest.mark.parametrize("shortcut", [False, True], ids=["plain", "shortcut"])
@pytest.mark.parametrize("share", [0.05, BELOW, ABOVE])
def test_the_gradient_vanishes_and_the_loss_is_as_stated(share, shortcut):
    landscape = network(share, shortcut)
    for point in landscape.critical_points():
        place = jax.tree.map(jnp.asarray, point.params)
        slope = landscape.tangent(place, landscape.grad(place))
        assert max(float(jnp.abs(leaf).max()) for leaf in slope) < 1e-14
        assert float(landscape.loss(place)) == pytest.approx(point.loss, abs=1e-14)
        assert float(jnp.linalg.norm(landscape.filter(place))) == pytest.approx(1, abs=1e-15)


def test_which_points_there_are():
    assert set(by_kind(network(BELOW))) == {"global", "spurious", "saddle"}
    above = by_kind(network(ABOVE))
    assert set(above) == {"global", "saddle"}
    angle = network(ABOVE).order(jax.tree.map(jnp.asarray, above["saddle"].params)).angle
    assert float(angle) == pytest.approx(math.pi, abs=1e-12)


@pytest.mark.parametrize("kind", ["global", "spurious"])
def test_nothing_near_a_minimum_is_lower(kind):
    landscape = network(BELOW)
    point = by_kind(landscape)[kind]
    for scale in (0.1, 1e-2, 1e-3):
        assert around(landscape, point, scale, 5000).min() >= point.loss - 2e-15
    assert (point.loss > 0.1) == (kind == "spurious")


@pytest.mark.parametrize("share", [BELOW, ABOVE])
def test_a_saddle_has_lower_and_higher_neighbours(share):
    landscape = network(share)
    point = by_kind(landscape)["saddle"]
    # at angle pi the way down is that of the filter, and only cubic
    lower = around(landscape, point, 0.1, 5000, outputs_too=share < 1)
    assert lower.min() < point.loss - 1e-6
    assert around(landscape, point, 0.1, 5000).max() > point.loss + 1e-6


def test_the_saddle_leads_down_to_both_sides():
    landscape = network(BELOW)
    saddle = by_kind(landscape)["saddle"]
    order = landscape.on_sphere()
    place = order.settled(order.saddle_angle)
    # move the overlap off zero either way: the runs part to the two optima
    starts = SphereOrder(*(np.array([leaf, leaf]) for leaf in place))
    starts = starts._replace(overlap=np.array([1e-3, -1e-3]))
    ended = simulate(order, NormalizedGradientDescent(0.1), starts, 20_000, early=False)
    assert ended.outcome.values.tolist() == [Outcome.GLOBAL, Outcome.SPURIOUS]
    for target in ("global", "spurious"):
        assert by_kind(landscape)[target].loss < saddle.loss


def test_the_hessian_of_the_saddle_has_one_negative_curvature():
    landscape = network(BELOW)
    point = jax.tree.map(jnp.asarray, by_kind(landscape)["saddle"].params)
    v = point.filter
    frame = jnp.linalg.svd(v[None])[2][1:]  # orthonormal vectors tangent to the sphere

    def loss(x):
        tangent, a = x[: P - 1], x[P - 1 :]
        return landscape.loss(landscape.retract(Weights(v + tangent @ frame, point.output + a)))

    eigenvalues = np.linalg.eigvalsh(jax.hessian(loss)(jnp.zeros(P - 1 + K)))
    assert (eigenvalues < -1e-3).sum() == 1
    assert (np.abs(eigenvalues) < 1e-10).sum() == P - 2  # the saddle is a sphere of filters


def test_the_spurious_minimum_grows_with_the_cube_of_the_distance():
    landscape = network(BELOW)
    point = by_kind(landscape)["spurious"]
    v, flat = np.asarray(point.params.filter), np.asarray(point.degenerate.filter)
    assert np.abs(point.degenerate.output).max() == 0
    assert abs(v @ flat) < 1e-15
    measured = []
    for distance in (4e-2, 2e-2, 1e-2):
        moved = math.cos(distance) * v + math.sin(distance) * flat
        rise = float(landscape.loss(Weights(moved, point.params.output))) - point.loss
        measured.append(rise / distance**3)
    # third-order coefficient by Richardson: what is left falls with the distance squared
    assert measured[2] == pytest.approx(point.cubic, rel=1e-4)
    assert (4 * measured[2] - measured[1]) / 3 == pytest.approx(point.cubic, rel=1e-5)
    overlap = point.params.output @ landscape.output_star
    assert point.cubic == pytest.approx(abs(overlap) / (6 * math.pi), rel=1e-5)


def test_the_spurious_weights_of_the_paper():
    # ((pi-1) I + 1 1^T)^{-1} (1 1^T - I) a*, from a linear solve
    landscape = network(BELOW)
    point = by_kind(landscape)["spurious"]
    ones = np.ones((K, K))
    solved = np.linalg.solve(
        (math.pi - 1) * np.eye(K) + ones, (ones - np.eye(K)) @ landscape.output_star
    )
    np.testing.assert_allclose(point.params.output, solved, rtol=1e-12)
    np.testing.assert_allclose(point.params.filter, -landscape.filter_star, atol=1e-15)


@pytest.mark.parametrize("k", [4, 25, 100])
def test_the_saddle_s_angle_is_the_formula_s(k):
    for alignment in (0.01, 1.0, 0.9 * (k + math.pi - 1) / math.pi):
        landscape = reduction(k, alignment, norm=3.0)
        q = 9.0 * alignment / (math.pi - 1 + k)
        level = (9.0 - math.pi * q) / (9.0 - q)
        assert float(arc_cosine(landscape.saddle_angle)) == pytest.approx(level, abs=1e-14)
        assert landscape.saddle_angle >= math.pi / 2
        assert landscape.settled(landscape.saddle_angle).overlap == pytest.approx(0, abs=1e-13)


TURNING = (
    lambda x: x**2 - 1 + 0.3 * x,
    lambda x: x**2,
    lambda x: x**2 - 1 + 0.5 * (x**3 - 3 * x),
    lambda x: jnp.cos(2 * x),
)


@pytest.mark.parametrize("activation", TURNING)
@pytest.mark.parametrize("output", quick.only([(1.0, 1.0), (1.0, -1.0), (1.0,)], [(1.0, 1.0)]))
def test_a_covariance_that_turns_has_points_between(activation, output):
    """Against the loss of the best output weights, looked at all over the angles."""
    landscape = SharedFilter(np.eye(3)[0], np.array(output), Quadrature(activation))
    angles = np.linspace(0, math.pi, 501)[1:-1]
    order = landscape.on_sphere()
    filters = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    best = order.settled_output(np.array(output), angles[:, None])
    losses = np.asarray(jax.vmap(landscape.loss)(Weights(filters, best)))
    rises = np.diff(losses) > 0
    ends = {0.0: True, math.pi: not rises[-1]}  # whether it is a minimum
    turns = {angles[i + 1]: rises[i + 1] for i in np.flatnonzero(np.diff(rises))} | ends
    points = order.critical_points()
    assert len(points) == len(turns)
    for point in points:
        near = min(turns, key=lambda angle: abs(angle - point.params.angle))
        assert abs(near - point.params.angle) < 7e-3
        assert (point.kind != "saddle") == turns[near]
        assert (point.kind == "global") == (point.loss < 1e-12)
        gradient = order.slope(SphereOrder(*map(jnp.asarray, point.params)))
        assert max(map(abs, map(float, gradient))) < 1e-8
    with pytest.raises(UserError, match="turns in between"):
        _ = order.existence_threshold


@pytest.mark.parametrize(
    ("activation", "steps", "code"),
    [(ReLU(), 2000, Outcome.GLOBAL), (Quadrature(jnp.tanh, nodes=4), 20, Outcome.UNDECIDED)],
)
def test_a_teacher_s_filter_may_have_any_length(activation, steps, code):
    landscape = SharedFilter(np.array([2.0, 0.0]), np.array([1.0, 0.5]), activation)
    starts = Weights(np.array([[1.0, 1.0]]), np.array([[0.5, 0.5]]))
    ended = simulate(landscape, GradientDescent(0.1), starts, steps)
    assert ended.outcome.values.tolist() == [code]


def test_one_patch_of_a_rectifier_has_no_saddle_beside_the_opposite_filter():
    draws = np.random.default_rng(0).normal(size=60)
    assert all(SphereReduction.of_sums(1, a, a**2, ReLU()).saddle_angle is None for a in draws)


@pytest.mark.parametrize("k", quick.only([4, 25, 100], [4, 100]))
def test_the_threshold_by_bisection_of_runs(k):
    """Runs that start close to the opposite filter fall back to it, or leave."""

    def leaves(alignment):
        landscape = reduction(k, alignment)
        place = landscape.settled(math.pi - 0.03)
        starts = SphereOrder(*(np.array([leaf]) for leaf in place))
        size = 0.9 / (0.5 + (k - 1) / (2 * math.pi))
        method = NormalizedGradientDescent(Weights(0.5, size))
        ended = simulate(landscape, method, starts, 3000, early=False)
        return float(ended.final_angle[0]) < place.angle

    low, high = 0.0, float(k)
    assert leaves(high)
    assert not leaves(low)
    while high - low > 0.002 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if leaves(middle) else (middle, high)
    exact = (k + math.pi - 1) / math.pi
    assert low == pytest.approx(exact, rel=0.01)
    assert reduction(k, 1.0).existence_threshold == pytest.approx(exact, rel=1e-12)
    assert reduction(k, exact * 0.999).saddle_angle is not None
    assert reduction(k, exact * 1.001).saddle_angle is None


def test_an_odd_activation_has_two_equal_optima():
    landscape = SphereReduction.of_sums(K, 1.0, 1.0, Quadrature(jnp.tanh))
    assert landscape.existence_threshold == math.inf
    kinds = [point.kind for point in landscape.critical_points()]
    assert kinds.count("global") == 2


def test_outcomes_by_position():
    landscape = reduction(K, 1.0, norm=2.0)
    points = {point.kind: point.params for point in landscape.critical_points()}
    off = SphereOrder(1.0, 0.5, 0.5)
    broken = SphereOrder(math.nan, 0.0, 0.0)
    places = [points["global"], points["spurious"], points["saddle"], off, broken]
    batch = SphereOrder(*(np.array(leaf, float) for leaf in zip(*places, strict=True)))
    expected = [
        Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE, Outcome.UNDECIDED, Outcome.DIVERGED,
    ]  # fmt: skip
    assert landscape.outcome(batch).tolist() == expected


def test_a_point_that_is_passing_is_not_decided():
    landscape = reduction(K, 1.0, norm=2.0)
    points = {point.kind: point.params for point in landscape.critical_points()}
    passing = points["saddle"]._replace(overlap=np.float64(0.01))
    upside_down = points["spurious"]._replace(overlap=np.float64(0.001))
    batch = SphereOrder(*(np.array(leaf) for leaf in zip(passing, upside_down, strict=True)))
    assert landscape.outcome(batch).tolist() == [Outcome.UNDECIDED, Outcome.UNDECIDED]


def test_outcomes_of_whole_weights():
    landscape = network(BELOW, shortcut=True)
    points = by_kind(landscape)
    weights = [points[kind].params for kind in ("global", "spurious", "saddle")]
    across = np.linalg.svd(np.stack([np.ones(K), landscape.output_star]))[2][-1]
    unsettled = weights[0]._replace(output=weights[0].output + across)
    batch = Weights(*(np.stack(leaf) for leaf in zip(*weights, unsettled, strict=True)))
    expected = [Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE, Outcome.UNDECIDED]
    assert landscape.outcome(batch).tolist() == expected


def test_a_rectifier_s_filter_may_have_any_length():
    landscape = network(BELOW)
    best = Weights(2.0 * landscape.filter_star, landscape.output_star / 2.0)
    batch = jax.tree.map(lambda leaf: leaf[None], best)
    assert landscape.outcome(batch).tolist() == [Outcome.GLOBAL]


def test_a_patch_of_length_one():
    landscape = SharedFilter(np.array([1.0]), teacher(K, 2)[1])
    spurious = by_kind(landscape)["spurious"]
    assert spurious.params.filter.tolist() == [-1.0]


def test_stability_is_that_of_the_linearized_update():
    landscape = reduction(K, 1.0, norm=2.0)
    stiffness, rule = (K - 1 + math.pi) / (2 * math.pi), NORMALIZED_DESCENT
    for factor, stable in ((0.99, True), (1.01, False)):
        assert landscape.stable(rule, Weights(factor * 2 / (4.0 / 2), 0.1)) is stable
        assert landscape.stable(rule, Weights(0.1, factor * 2 / stiffness)) is stable


@pytest.mark.parametrize("share", [BELOW, ABOVE])
def test_the_flat_direction_and_its_coefficient_tell_how_the_loss_changes(share):
    landscape = reduction(K, share * (K + math.pi - 1) / math.pi, norm=2.0)
    [point] = [p for p in landscape.critical_points() if p.degenerate is not None]
    held, flat = point.params, point.degenerate
    base = float(landscape.loss(SphereOrder(*map(jnp.asarray, held))))
    for distance in (2e-2, 1e-2):
        moved = SphereOrder(
            *(jnp.asarray(p + distance * d) for p, d in zip(held, flat, strict=True))
        )
        rise = float(landscape.loss(moved)) - base
        assert rise / distance**3 == pytest.approx(point.cubic, rel=2e-3)
    assert (point.cubic > 0) == (share < 1)  # a minimum, or the way out of it
    assert flat.angle == -1


def moved_by(landscape, kind, **off):
    place = next(p.params for p in landscape.critical_points() if p.kind == kind)
    place = SphereOrder(*(np.array([float(leaf)]) for leaf in place))
    return place._replace(**{name: getattr(place, name) + x for name, x in off.items()})


@pytest.mark.parametrize("norm", [0.2, 1.0, 7.0])
@pytest.mark.parametrize(("share", "inside"), [(0.99, True), (1.01, False)])
def test_the_borders_of_an_outcome_are_relative_to_the_teacher(norm, share, inside):
    landscape = reduction(K, 1.0, norm)
    power = norm**2
    sums = {"total": math.sqrt(K * power), "overlap": power}
    for kind, angle, off in (("global", 0.01, 0.0101), ("spurious", 0.1, 0.02)):
        inward = 1 if kind == "global" else -1
        borders = {"angle": inward * angle} | {n: -off * scale for n, scale in sums.items()}
        for name, border in borders.items():
            place = moved_by(landscape, kind, **{name: share * border})
            found = Outcome(int(landscape.outcome(place)[0])).word
            assert (found == kind) == inside, (kind, name)


@pytest.mark.parametrize("norm", [0.2, 1.0, 7.0])
@pytest.mark.parametrize(("share", "inside"), [(0.99, True), (1.01, False)])
def test_at_the_saddle_the_gradient_vanishes_relative_to_the_teacher(norm, share, inside):
    landscape = reduction(K, 1.0, norm)
    angle = landscape.saddle_angle
    pull = (math.pi - angle) * math.sin(angle) / (2 * math.pi)
    steepest = max(float(landscape.variance), pull)  # of what an overlap of one moves
    border = 1e-6 * (norm**2 + math.sqrt(K) * norm) / steepest
    found = landscape.outcome(moved_by(landscape, "saddle", overlap=share * border))
    assert found.tolist() == [Outcome.SADDLE if inside else Outcome.UNDECIDED]
