r"""Random starts in the numbers that the dynamics needs of them: closed laws, for any dimension.

Of a random vector only two coordinates enter the order parameters, in the plane of two directions
that the teacher has. Their law is known, so that nobody has to draw the others.
"""

import math

import numpy as np
from jaxtyping import Float

Run = Float[np.ndarray, " run"]


def ball_coordinates(uniforms: Float[np.ndarray, "run 2"], k: int) -> tuple[Run, Run]:
    r"""Two coordinates of points that are uniform in the unit ball of `R^k`.

    Their density is proportional to `(1 - rho^2)^(k/2 - 1)`, so that with `u`, `w` uniform

        rho^2 = 1 - (1 - u)^(2/k),    (x, y) = rho (cos 2 pi w, sin 2 pi w).

    `k = 1` has no second coordinate: `x` is then uniform in [-1, 1], and `y` means nothing.

    Args:
        uniforms: Two numbers in [0, 1) for each point.
        k: The dimension, at least 1.

    Returns:
        Both coordinates.

    Source: a ball's marginals, as in Barthe et al., "A probabilistic approach to the geometry of
    the l_p^n-ball", Annals of Probability 33 (2005).

    Example:
        >>> x, y = ball_coordinates(np.array([[0.75, 0.0], [0.75, 0.25]]), 2)
        >>> x.round(4).tolist(), y.round(4).tolist()
        ([0.866, 0.0], [0.0, 0.866])
    """
    x, y, _ = _plane(uniforms, k)
    return x, y


def sphere_angle(uniforms: Float[np.ndarray, "run 2"], p: int) -> Run:
    r"""The angle of uniform unit vectors of `R^p` to a fixed one.

    Its cosine `x` has `(1 + x)/2` distributed as `Beta((p - 1)/2, (p - 1)/2)`: by Archimedes, two
    coordinates of a point on the sphere of `R^p` are those of a point in the ball of `R^(p-2)`. The
    sine is taken from `1 - x^2 = (1 - rho^2) + y^2`, where nothing cancels.

    Args:
        uniforms: Two numbers in [0, 1) for each vector.
        p: The dimension, at least 1.

    Returns:
        Angles in [0, pi].

    Example:
        >>> sphere_angle(np.array([[0.3, 0.125], [0.3, 0.5]]), 2).round(4).tolist()
        [0.7854, 3.1416]
    """
    if p == 1:
        return np.where(uniforms[:, 1] < 0.5, 0.0, math.pi)
    x, y, left = _plane(uniforms, p - 2)
    return np.arctan2(np.sqrt(left + y**2), x)


def gaussian_coordinates(normals: Float[np.ndarray, "run 3"], m: int) -> tuple[Run, Run, Run]:
    """Two coordinates and the squared length of standard normal vectors of `R^m`.

    What the two coordinates leave of the squared length is a chi-squared variable of `m - 2`
    degrees. `m = 1` has no second coordinate: `y` is then 0.

    Args:
        normals: Three standard normal numbers for each vector.
        m: The dimension, at least 1.

    Returns:
        Both coordinates, and the squared length.

    Example:
        >>> x, y, size = gaussian_coordinates(np.array([[1.0, 2.0, 0.0]]), 4)
        >>> size.round(4).tolist()  # 1 + 4 + the median of a chi-squared variable of degree 2
        [6.3863]
    """
    from scipy.special import gammaincinv, ndtr

    x, y = normals[:, 0], normals[:, 1] if m > 1 else np.zeros(len(normals))
    others = 2 * gammaincinv((m - 2) / 2, ndtr(normals[:, 2])) if m > 2 else 0.0
    return x, y, x**2 + y**2 + others


def plane_sums(x: Run, y: Run, k: int, alignment: float, length: float) -> tuple[Run, Run]:
    """`1.a` and `a.a*` of output weights with these coordinates in the plane of `1` and `a*`.

    Args:
        x: The coordinate along `1`.
        y: The coordinate along the part of `a*` across `1`.
        k: How many output weights there are.
        alignment: `(1.a*)^2 / |a*|^2`, as for `aligned_output`.
        length: `|a*|`.

    Example:
        >>> total, overlap = plane_sums(np.array([1.0]), np.array([1.0]), 4, 1.0, 2.0)
        >>> total.round(4).tolist(), overlap.round(4).tolist()
        ([2.0], [2.7321])
    """
    share = min(alignment / k, 1.0)
    return math.sqrt(k) * x, length * (math.sqrt(share) * x + math.sqrt(1 - share) * y)


def _plane(uniforms: Float[np.ndarray, "run 2"], k: int) -> tuple[Run, Run, Run]:
    """Two coordinates in the unit ball of `R^k`, and what they leave of its radius, squared."""
    power = np.log1p(-uniforms[:, 0]) * (2 / k) if k else np.full(len(uniforms), -np.inf)
    rho, turn = np.sqrt(-np.expm1(power)), 2 * math.pi * uniforms[:, 1]
    return rho * np.cos(turn), rho * np.sin(turn), np.exp(power)
