"""Is the kernel at infinite width positive, and when is it not?"""

from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.kernels import infinite_kernel
from whytrain.studies.li2020.setup import LLY, NETWORKS, NetworkSettings

SMALL = (0.1, 0.01, 0.001)  # angles between two inputs (rad)


@dataclass(frozen=True, kw_only=True)
class LimitSettings(NetworkSettings):
    """Random inputs."""

    width: int = lab.setting(1, "of no effect: the limit has no width", low=1, high=1)


def compute(settings: LimitSettings, runs: lab.Runs) -> xr.Dataset:
    """The least eigenvalue on random inputs, and on pairs of inputs at small angles."""
    keys, n = runs.keys(), settings.examples
    with jax.enable_x64(True):
        inputs = [np.asarray(settings.points(key)) for key in keys]
    least, near = [], []
    for x in inputs:
        turned = [_turned(x[0], x[1], angle) for angle in SMALL]
        K = infinite_kernel(settings.model, np.stack([*x, *turned])).tangent
        pairs = [np.ix_((0, n + place), (0, n + place)) for place in range(len(SMALL))]
        least.append(np.linalg.eigvalsh(K[:n, :n])[0])
        near.append([np.linalg.eigvalsh(K[pair])[0] for pair in pairs])
    return xr.Dataset(
        {"least": ("run", least), "near": (("run", "angle"), near)}, {"angle": list(SMALL)}
    )


def _turned(x: np.ndarray, towards: np.ndarray, angle: float) -> np.ndarray:
    """`x` turned by an angle towards another vector."""
    across = towards - (towards @ x) / (x @ x) * x
    across *= np.linalg.norm(x) / np.linalg.norm(across)
    return np.cos(angle) * x + np.sin(angle) * across


LIMIT = lab.Experiment(
    name="limit",
    doc="the least eigenvalue of the tangent kernel at infinite width",
    settings=LimitSettings,
    compute=compute,
    runs=8,
    block=8,
)
INPUTS = LIMIT.grid(
    {"quick": {"runs": 30}, "paper": {"runs": 100}}, network=tuple(NETWORKS), examples=4
)


def _exponents(cells: lab.Cells) -> lab.Estimate:
    """How far the power of the angle is from 2, from each angle to the next, in any run."""
    logs = np.concatenate([np.log(cell.data.near.values) for cell in cells])
    powers = np.diff(logs, axis=1) / np.diff(np.log(SMALL))
    return lab.largest(np.abs(powers - 2))


CLAIMS = (
    lab.Claim(
        id="A-10", title="The limit kernel is positive", group="definitions",
        source=f"{LLY}, after Du et al. 2019",
        statement="For an analytic activation that is no polynomial, and inputs no two of which "
        "are parallel, the tangent kernel at infinite width is positive definite; for two inputs "
        "at an angle $e$ its least eigenvalue goes to 0, like $e²$.",
        requests=INPUTS,
        parts=(
            lab.in_every_run(lambda cells: cells.pooled("least") > 1e-9,
                             "draws of inputs with a positive least eigenvalue", share=0.9),
            lab.Part("how far the power of the angle is from 2", _exponents, lab.at_most(0.01)),
        ),
        faults=(
            lab.Fault("one least eigenvalue is 0", lab.in_one_run("least", 0.0)),
            lab.Fault("it goes to 0 like $e^{1.9}$",
                      lab.altered("near", lambda near: near * np.array(SMALL) ** -0.1)),
        ),
        does_not_show="A lower bound that holds for all depths: see A-9.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((LIMIT,), CLAIMS)
