"""The tangent kernel of functions that use a parameter, or a part of one, at several places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.kernels import tangent_kernel

X = np.random.default_rng(1).normal(size=(3, 4))


def by_jacobian(f, params, x):
    """`J J^T` of each parameter, (example, output) by (example, output)."""
    params = jax.tree.map(jnp.asarray, params)
    found = jax.jacrev(lambda p: f(p, x).reshape(-1))(params)
    rows = {name: np.asarray(leaf).reshape(len(leaf), -1) for name, leaf in found.items()}
    return {name: row @ row.T for name, row in rows.items()}


def agrees(f, params, x):
    found = tangent_kernel(f, params, x, method="structured", by_layer=True)
    with jax.enable_x64(True):
        right = by_jacobian(f, params, x)
    size = np.abs(sum(right.values())).max()
    return all(np.abs(found[name] - right[name]).max() < 1e-12 * size for name in right)


def in_one_vector(p, x):
    """Weights and biases in one vector."""
    return jnp.tanh(x @ p["flat"][:12].reshape(4, 3) + p["flat"][12:15])


def biases_repeated(p, x):
    """Steps with parts of an array, which holds one bias twice."""
    biases = jnp.broadcast_to(p["bias"], (2, 4))
    return jax.lax.scan(lambda h, b: (jnp.tanh(h @ p["square"] + b), None), x, biases)[0]


def bias_in_a_loop(p, x):
    """A sum made before a loop, to which all steps add a bias."""
    h = x @ p["square"]

    def step(c, _):
        return jnp.tanh(c + (h + p["bias"])), None

    return jax.lax.scan(step, jnp.zeros_like(h), None, length=3)[0]


def column_and_row(p, x):
    """Biases that have a number in common."""
    h = jnp.tanh(x @ p["other"] + p["square"].T[0])
    return jnp.tanh(h @ p["other"] + p["square"][1])


def two_layouts(p, x):
    return jnp.tanh(x @ p["other"] + p["square"].reshape(16)[:4]) * 2 @ p["other"] + p["square"][1]


def bias_of_two_convolutions(p, x):
    """One in groups, one in none."""
    bias, images = p["bias"][:, None, None], jnp.tile(x.reshape(-1, 1, 2, 2), (1, 4, 1, 1))
    a, b = p["square"].reshape(4, 1, 2, 2), p["other"].reshape(4, 4, 1, 1)
    h = jax.lax.conv_general_dilated(images, a, (1, 1), "SAME", feature_group_count=4) + bias
    return (jax.lax.conv_general_dilated(jnp.tanh(h), b, (1, 1), "SAME") + bias).mean((2, 3))


def tied_with_biases(p, x):
    """An autoencoder: what is done with its weights twice is no layer, and biases stay behind."""
    return jnp.tanh(x @ p["square"] + p["bias"]) @ p["square"].T + p["flat"][:4]


def tied_after_a_layer(p, x):
    h = jnp.tanh(x @ p["other"] + p["bias"])
    return jnp.tanh(h @ p["square"] + p["flat"][:4]) @ p["square"].T + p["flat"][4:8]


def convolution_as_a_matrix(p, x):
    kernel = p["square"].reshape(4, 1, 4)
    h = jax.lax.conv_general_dilated(x[:, None], kernel, (1,), "SAME") + p["bias"][:, None]
    return jnp.tanh(h).mean(2) @ p["square"] + p["flat"][:4]


def one_input_at_one_place_and_at_several(p, x):
    once, often = x[:, :1] @ p["row"], x[:, :, None] @ p["row"]
    return (jnp.tanh(once) + jnp.tanh(often).sum(1)) @ p["other"]


@pytest.mark.parametrize(
    "f",
    [
        in_one_vector,
        biases_repeated,
        bias_in_a_loop,
        column_and_row,
        two_layouts,
        bias_of_two_convolutions,
        tied_with_biases,
        tied_after_a_layer,
        convolution_as_a_matrix,
        one_input_at_one_place_and_at_several,
    ],
)
def test_parameters_in_several_places(f):
    rng = np.random.default_rng(0)
    shapes = {"flat": 15, "bias": 4, "row": (1, 4), "square": (4, 4), "other": (4, 4)}
    assert agrees(f, {name: rng.normal(size=shape) for name, shape in shapes.items()}, X)


# -- programs drawn at random -----------------------------------------------------------------

PARTS = {
    "square": (4, 4),
    "stack": (3, 4, 4),
    "flat": (40,),
    "bias": (4,),
    "row": (1, 4),
    "rows": (3, 4),
    "number": (),
}
MATRICES = (
    lambda p: p["square"],
    lambda p: p["square"].T,
    lambda p: p["stack"][0],
    lambda p: p["stack"][1].T,
    lambda p: p["flat"][:16].reshape(4, 4),
    lambda p: p["flat"][8:24].reshape(4, 4),
    lambda p: -p["stack"][2] / 3,
    lambda p: p["square"] * p["number"],
)
ROWS = (
    lambda p: p["bias"],
    lambda p: p["bias"][::-1],
    lambda p: p["rows"][0],
    lambda p: p["rows"].T[:, 2],
    lambda p: p["flat"][32:36],
    lambda p: p["square"][1],
    lambda p: p["bias"] * p["number"],
)
STEPS = (
    lambda a, b, c: lambda p, h: jnp.tanh(h @ a(p) + b(p)),
    lambda a, b, c: lambda p, h: h + jnp.tanh(h @ a(p) + b(p)) @ c(p),
    lambda a, b, c: lambda p, h: jnp.einsum("ni,oi->no", jnp.sin(h), a(p)) + b(p),
    lambda a, b, c: lambda p, h: h[:, :1] @ p["row"] + jnp.tanh(h[:, :, None] @ p["row"]).sum(1),
    lambda a, b, c: lambda p, h: jax.lax.fori_loop(0, 2, lambda _, h: jnp.sin(h @ a(p) + b(p)), h),
    lambda a, b, c: (
        lambda p, h: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w) + b(p), None), h, p["stack"])[0]
    ),
)  # fmt: skip


def drawn(seed):
    """A chain of steps that take their matrices and rows from one small store."""
    rng = np.random.default_rng(seed)
    params = {name: rng.normal(size=shape) / 2 for name, shape in PARTS.items()}

    def one(of):
        return of[rng.integers(len(of))]

    steps = [one(STEPS)(one(MATRICES), one(ROWS), one(MATRICES)) for _ in range(rng.integers(1, 5))]

    def f(p, x):
        for step in steps:
            x = step(p, x)
        return x

    return f, params


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_program(seed):
    assert agrees(*drawn(seed), X)


@pytest.mark.slow
def test_many_drawn_programs():
    assert all(agrees(*drawn(seed), X) for seed in range(6, 206))
