"""What is differentiated in: all that is trained, and nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures import flatness, hessian_trace, lanczos, top_eigenvalue, xtrace
from whytrain.measures.bounds import theorem1, theorem1_by_norms
from whytrain.measures.trained import trained

X = np.random.default_rng(0).normal(size=(20, 3))


def mlp(seed=0, width=4, depth=1):
    return eqx.nn.MLP(3, 1, width, depth, key=jax.random.key(seed))


def loss(model, x):
    return jnp.mean(jax.vmap(model)(x) ** 2)


def square(params):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def test_an_equinox_module_is_measured_as_its_arrays():
    model = mlp()
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)

    def plain(arrays, x):
        return loss(eqx.combine(arrays, rest), x)

    found, expected = top_eigenvalue(loss, model, X), top_eigenvalue(plain, arrays, X)
    assert found.value == pytest.approx(expected.value, rel=1e-12)
    assert len(found.vector) == 21
    assert found.left_out == "activation, final_activation"
    assert hessian_trace(loss, model, X).value == pytest.approx(
        hessian_trace(plain, arrays, X).value
    )
    flat = flatness(loss, mlp(1), model, X, seed=0, draws=2, groups=3)
    assert flat == flatness(loss, mlp(1), model, X, key=0, draws=2, groups=3)
    assert flat == flatness(loss, mlp(1), model, X, key=jax.random.key(0), draws=2, groups=3)


def test_modules_of_one_kind_are_compiled_once():
    calls = []

    def counted(model, x):
        calls.append(1)
        return loss(model, x)

    hessian_trace(counted, mlp(), X)
    before = len(calls)
    hessian_trace(counted, mlp(1), X)
    # two plain calls that look for randomness, two of halves, a trace for what it computes now
    assert len(calls) == before + 5


def test_seeds_and_keys_are_taken_everywhere():
    for call in (
        lambda **how: top_eigenvalue(square, np.ones(3), **how).products,
        lambda **how: hessian_trace(square, np.ones(12), products=9, **how).value,
        lambda **how: flatness(square, np.ones(3), np.ones(3), draws=2, groups=2, **how).sigma,
    ):
        assert call(seed=3) == call(key=3) == call(seed=np.int64(3))
        assert call(key=jax.random.key(3)) == call(key=jax.random.PRNGKey(3))
        for wrong in ([1], 1.5, -1, "0", True, jax.random.split(jax.random.key(0))):
            with pytest.raises(UserError, match="a seed"):
                call(key=wrong)


class Variable:
    """As NNX has them: a node of the tree, whose class says whether it is trained."""

    def __init__(self, value):
        self.value = value


class Param(Variable):
    pass


class BatchStat(Variable):
    pass


class RngCount(Variable):
    pass


for kind in (Param, BatchStat, RngCount):
    jax.tree_util.register_pytree_with_keys(
        kind,
        lambda node: (((jax.tree_util.GetAttrKey("value"), node.value),), None),
        lambda _, children, kind=kind: kind(*children),
    )

COUNT = np.zeros((), np.uint32)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"params": {"w": np.ones(3)}, "batch_stats": {"mean": np.ones(2)}}, "batch_stats/mean"),
        ({"params": {"w": np.ones(3)}, "ema": {"w": np.ones(3)}}, "ema/w"),
        ({"bn.weight": np.ones(2), "bn.running_mean": np.ones(2)}, "bn.running_mean"),
        ({"bn": {"scale": np.ones(2), "mean": np.ones(2), "var": np.ones(2)}}, "bn/mean, bn/var"),
        ({"a": Param(np.ones(2)), "b": BatchStat(np.ones(2))}, "b/value"),
        ({"a": Param(np.ones(2)), "d": RngCount(COUNT)}, "d/value"),
        (eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "b", mode="batch"), "are no parameters"),
        (np.arange(3), "'params' is an array of int64; make it one"),
        ({"w": np.ones(2), "n": COUNT}, "'n' is an array of uint32"),
        ({"w": np.ones(2), "k": jax.random.key(0)}, "'k' is an array of key"),
        (np.ones(2) * 1j, "'params' is complex"),
        (eqx.nn.MLP, "the class MLP"),
        ({"w": "ones"}, "'w' is an object of type str"),
        ({}, "there is no parameter"),
        (np.array([1, np.nan]), "'params' is not finite in 1 of 2 numbers"),
    ],
)
def test_what_is_no_parameter_is_refused(params, message):
    for call in (top_eigenvalue, hessian_trace, lambda f, p: flatness(f, p, p)):
        with pytest.raises(UserError, match=message) as told:
            call(square, params)
        assert len(str(told.value).splitlines()) == 1


def test_parameters_of_nnx_are_taken():
    params = {"a": Param(np.ones(2)), "b": Param(np.ones(3))}
    assert trained(square, params).names == ("a/value", "b/value")
    assert hessian_trace(square, params).value == 10


class Tensor:
    """What only another library computes with."""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("mse", "must be a function"),
        (lambda p: float(np.sum(np.asarray(p) ** 2)), "cannot be computed: TracerArray"),
        (lambda p: 3.0, "does not depend on the parameters as far as JAX sees"),
        (lambda p: Tensor() @ p, "cannot be computed: TypeError"),
        (lambda p: (jnp.sum(p), p), "must be one number, got an object of type tuple"),
        (lambda p: jnp.sum(p) * 1j, "must be one real number, got an array of complex128"),
        (lambda p: Tensor(), "must be one real number, got an object of type"),
        (Tensor, "cannot be computed: TypeError"),
    ],
)
def test_a_loss_that_is_none_is_one_line(wrong, message):
    for call in (top_eigenvalue, hessian_trace, lambda f, p: flatness(f, p, p)):
        with pytest.raises(UserError, match=message) as told:
            call(wrong, np.ones(2))
        assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("function", "place", "message"),
    [
        (lambda w: jnp.linalg.norm(w) ** 2, np.zeros(200), r"gradient .* params \(200 of 200"),
        (
            lambda w: jnp.sum(jnp.abs(w) ** 1.5),
            np.array([0.0, 1.0]),
            r"second derivative .* \(1 of 2",
        ),
        (lambda w: jnp.sum(jnp.sqrt(w["b"]) + w["a"]), {"a": np.ones(2), "b": np.zeros(2)}, "to b"),
    ],
)
def test_a_derivative_that_is_not_finite_names_the_parameters(function, place, message):
    for call in (top_eigenvalue, hessian_trace):
        with pytest.raises(UserError, match=message):
            call(function, place)


def test_initial_parameters_of_another_network_are_told():
    with pytest.raises(UserError, match="'layers/0/weight' has the shapes"):
        flatness(loss, mlp(width=5), mlp(), X)
    with pytest.raises(UserError, match="'b' is not among the initial ones"):
        flatness(square, {"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(2)})


def test_operators_that_are_not_finite_are_told():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="not finite"):
        xtrace(lambda v: v * np.nan, 100, rng)
    with pytest.raises(UserError, match="beyond the largest"):
        lanczos(lambda v: v * np.nan, np.ones(3), 1e-6, 10)
    with pytest.raises(UserError, match="not all of them zero"):
        lanczos(lambda v: v, np.zeros(3), 1e-6, 10)


@pytest.mark.parametrize("scale", [1e-250, 1e-60, 1e60, 1e250])
def test_the_scale_of_a_loss_changes_nothing(scale):
    def scaled(p):
        return scale * jnp.sum(jnp.cos(p))

    start = np.linspace(0, 3, 30)
    exact = -scale * np.cos(start)
    top = top_eigenvalue(scaled, start, tolerance=1e-9)
    assert top.converged
    assert top.value == pytest.approx(exact.max(), rel=1e-8)
    found = hessian_trace(scaled, start, products=12)
    assert found.low <= exact.sum() <= found.high


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_sigma_far_from_one_is_as_exact(scale):
    one, far = (
        flatness(lambda p, s=s: s * jnp.sum(p**2), np.zeros(5), np.zeros(5), draws=4, groups=4)
        for s in (1.0, scale)
    )
    assert far.sigma * scale**0.5 == pytest.approx(one.sigma, rel=1e-7)


@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 20, 33])
def test_no_more_products_are_spent_than_allowed(most):
    """The second search has what the first has left, not the sum."""
    found = top_eigenvalue(
        lambda p: jnp.sum(jnp.linspace(0, 1, 300) * p**2), np.ones(300), most=most, tolerance=1e-12
    )
    assert not found.converged
    assert found.products == most


@pytest.mark.parametrize(
    ("gamma", "m", "size"), [(0.0, 4, 1.0), (-1.0, 4, 1.0), (1.0, 0, 1.0), (1.0, 4, np.nan)]
)
def test_a_complexity_of_no_margin_or_no_examples_is_refused(gamma, m, size):
    one = np.ones(1)
    for bound in (theorem1, theorem1_by_norms):
        with pytest.raises(UserError, match=r"needed: gamma > 0|norms must be finite"):
            bound(one, one, size, 0 * one, 2, gamma, m)
