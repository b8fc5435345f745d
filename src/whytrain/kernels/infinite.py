"""What kernels of random networks tend to as all widths grow."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.gaussian.quadrature import CUTOFF
from whytrain.kernels.duals import CLOSED, Duals, Entries, Pair, by_quadrature
from whytrain.measures.arrays import a, as_float64, in_one_line
from whytrain.networks import FullyConnected, ResidualDense

_COARSE, _FINE = (40, CUTOFF), (90, 14.0)  # nodes a panel, and the radius where panels end
_ALIKE = 1e-6  # relative, of a kernel by the coarse quadrature and by the fine


@dataclass(frozen=True, eq=False)
class InfiniteKernel:
    """Kernels at infinite width.

    Attributes:
        tangent: The tangent kernel, which is that of every draw and stays as it is in training.
        covariance: That of the outputs at the start, which are Gaussian of mean 0.
    """

    tangent: Float[np.ndarray, "index other"]
    covariance: Float[np.ndarray, "index other"]


def infinite_kernel(
    network: Any,
    x1: Any,
    x2: Any = None,
    *,
    kinks: tuple[float, ...] = (),
) -> InfiniteKernel:
    r"""Give the kernels that a network's own tend to as its hidden widths go to infinity.

    With `(u, v)` Gaussian of the covariance that a layer's sums have at the two inputs, `s` the
    activation, and `s'` its derivative, for `FullyConnected` of `L` hidden layers

        S_0 = x.x' / n_0,    S_l = gain E s(u) s(v),    D_l = gain E s'(u) s'(v)   at S_(l-1)
        T_0 = 0,    T_l = D_l (S_(l-1) + T_(l-1)),    tangent = S_L + T_L,    covariance = S_L

    (Jacot et al. 2018). For `ResidualDense`, with `mu(x) = E s(|x_(l-1)| z)`, `q_l` the limit of
    `x_l.x_l'`, and `M_l` that of the sum of `x_l` over `sqrt(width)`,

        q_0 = x.x',    q_1 = first E s(u) s(v),    M_1 = sqrt(first) E s(|x| z)
        q_l = q_(l-1) + E s(u) s(v) / L^2 + (M_(l-1)(x) mu(x') + M_(l-1)(x') mu(x)) / L
        M_l = M_(l-1) + mu / L,    D_l = E s'(u) s'(v)   at q_(l-1)
        T_1 = first D_1 q_0,    T_l = T_(l-1) (1 + D_l / L^2) + q_(l-1) D_l / L^2
        tangent = q_L + T_L,    covariance = q_L

    The expectations are closed for `jax.nn.relu` (Cho and Saul 2009) and `jax.lax.erf` or
    `jax.scipy.special.erf` (Williams 1997), and otherwise those of `gaussian.Quadrature`, whose
    docstring says how exact they are: 1e-12 for smooth activations that change little over a
    standard deviation; what is less exact than about 1e-6 is refused. The kernel of the ReLU bends
    where two inputs have one direction; where these are less than 1e-7 apart it is right to 1e-8.

    Args:
        network: Its hidden widths do not matter; `FullyConnected` in the parametrization `"ntk"`.
        x1: Inputs, one a row.
        x2: Other inputs; None for `x1` again.
        kinks: Where the activation is not smooth, besides at 0.

    Returns:
        The kernels, of every input of `x1` with every one of `x2`. With `outputs` each output of an
        input is an index of its own, and different outputs have nothing in common.

    Raises:
        UserError: The network is another, has another parametrization, or an activation that
            quadrature is not exact for; the inputs are not of its extent, or a kernel is not
            finite.

    Source: Jacot, Gabriel and Hongler, "Neural Tangent Kernel", NeurIPS 2018; Williams, "Computing
    with Infinite Networks", NeurIPS 1997; Li, Luo and Yip 2020 (arXiv 2007.03714) for the residual
    network, whose recursion is derived here and held against wide networks in the tests.

    Example:
        >>> network = FullyConnected((2, 100))
        >>> kernel = infinite_kernel(network, np.array([[1.0, 1.0], [1.0, -1.0]]))
        >>> kernel.covariance.round(6).tolist()  # angles 0 and pi / 2
        [[1.0, 0.31831], [0.31831, 1.0]]
        >>> kernel.tangent.round(6).tolist()
        [[2.0, 0.31831], [0.31831, 2.0]]
    """
    _check(network)
    rows = _inputs(network, x1)
    others = rows if x2 is None else _inputs(network, x2)
    shape = len(rows), len(others)
    i, j = np.triu_indices(len(rows)) if x2 is None else np.indices(shape).reshape(2, -1)
    written = f"the activation {network.activation!r:.60} cannot be called on arrays of JAX"
    with jax.enable_x64(True), in_one_line(written, "; write it with jax.numpy"):
        _check_exact(network, rows if x2 is None else np.r_[rows, others], tuple(kinks))
        found = _limit(network, rows[i], others[j], tuple(kinks))
    if not np.isfinite(found).all():
        raise UserError(
            "the kernel is not finite at these inputs: they, or the network's factors, are too "
            "large; scale them down"
        )
    return InfiniteKernel(*(_matrix(network, shape, i, j, values, x2 is None) for values in found))


def _limit(
    network: Any,
    x1: np.ndarray,
    x2: np.ndarray,
    kinks: tuple[float, ...],
    panels: tuple[int, float] = _COARSE,
) -> tuple[np.ndarray, np.ndarray]:
    """Tangent kernel and covariance of the input in each row of `x1` with that of `x2`."""
    duals = CLOSED.get(network.activation) or by_quadrature(network.activation, kinks, *panels)
    with np.errstate(over="ignore", invalid="ignore"):  # told of the kernel
        products = [jnp.asarray((p * q).sum(axis=1)) for p, q in ((x1, x1), (x2, x2), (x1, x2))]
    if isinstance(network, FullyConnected):
        found = _connected(network, duals, *products)
    else:
        found = _residual(network, duals, *products)
    tangent, covariance = map(np.asarray, found)
    return tangent, covariance


def _connected(
    network: FullyConnected, duals: Duals, square: Entries, other: Entries, product: Entries
) -> tuple[Entries, Entries]:
    """Over the layers, from the products of the inputs; see `infinite_kernel`."""
    gain, fan_in = network.gain, network.widths[0]
    square, other, product = square / fan_in, other / fan_in, product / fan_in
    tangent = jnp.zeros_like(product)
    for _ in network.widths[1:]:
        pair = Pair.of(square, other, product)
        units, slopes = duals.both(pair)
        tangent = gain * slopes * (product + tangent)
        square, other = gain * duals.square(pair.length), gain * duals.square(pair.other)
        product = gain * units
    return product + tangent, product


def _residual(
    network: ResidualDense, duals: Duals, square: Entries, other: Entries, product: Entries
) -> tuple[Entries, Entries]:
    """Over the layers, from the products of the inputs; see `infinite_kernel`."""
    first, depth = network.first, network.depth
    pair = Pair.of(square, other, product)
    units, slopes = duals.both(pair)
    tangent, product = first * slopes * product, first * units
    square, other = first * duals.square(pair.length), first * duals.square(pair.other)
    sum1, sum2 = (math.sqrt(first) * duals.mean(length) for length in pair[:2])
    for _ in range(depth - 1):
        pair = Pair.of(square, other, product)
        units, slopes = duals.both(pair)
        mean1, mean2 = (duals.mean(length) for length in pair[:2])
        tangent += slopes / depth**2 * (product + tangent)
        product += units / depth**2 + (sum1 * mean2 + sum2 * mean1) / depth
        square += duals.square(pair.length) / depth**2 + 2 * sum1 * mean1 / depth
        other += duals.square(pair.other) / depth**2 + 2 * sum2 * mean2 / depth
        sum1, sum2 = sum1 + mean1 / depth, sum2 + mean2 / depth
    return product + tangent, product


def _check_exact(network: Any, x: np.ndarray, kinks: tuple[float, ...]) -> None:
    """Refuse an activation whose kernel of the inputs themselves the fine quadrature changes."""
    if network.activation in CLOSED:
        return
    found, finer = (_limit(network, x, x, kinks, panels)[0] for panels in (_COARSE, _FINE))
    if not np.all(np.abs(found - finer) <= _ALIKE * np.abs(finer)):
        raise UserError(
            f"quadrature is not exact for the activation {network.activation!r:.60} at inputs of "
            "these lengths: name the places where it bends or jumps, such as kinks=(-1, 1), or "
            "scale the inputs down, if it grows fast"
        )


def _check(network: Any) -> None:
    if not isinstance(network, FullyConnected | ResidualDense):
        raise UserError(
            "kernels at infinite width are known of FullyConnected and ResidualDense, got "
            f"{a(network)}"
        )
    if isinstance(network, FullyConnected) and network.parametrization != "ntk":
        raise UserError(
            "the tangent kernel of the standard parametrization grows with the width without "
            "limit; take FullyConnected(..., parametrization='ntk')"
        )


def _inputs(network: Any, x: Any) -> Float[np.ndarray, "n extent"]:
    extent = network.widths[0] if isinstance(network, FullyConnected) else network.inputs
    x = as_float64(x, "inputs")
    if x.ndim != 2 or not len(x) or x.shape[1] != extent:
        raise UserError(f"inputs must be rows of {extent} numbers, got the shape {x.shape}")
    if not np.isfinite(x).all():
        raise UserError("inputs must be finite numbers")
    return x


def _matrix(
    network: Any, shape: tuple, i: np.ndarray, j: np.ndarray, values: np.ndarray, symmetric: bool
) -> np.ndarray:
    """The entries in their places; for several outputs, times the identity."""
    found = np.empty(shape)
    found[i, j] = values
    if symmetric:
        found[j, i] = values
    outputs = getattr(network, "outputs", None)
    return found if outputs is None else np.kron(found, np.eye(outputs))
