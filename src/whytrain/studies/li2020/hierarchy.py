"""Is the hierarchy of kernels exact, and what symmetries does it have?"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.kernels.higher import kernels
from whytrain.studies.li2020.setup import HY, NETWORKS, TOGETHER, NetworkSettings, compiled

ORDERS = ("f", "K2", "K3")


@dataclass(frozen=True, kw_only=True)
class HierarchySettings(NetworkSettings):
    """Few points: the kernel of order 4 has n to the 4 entries."""

    width: int = lab.setting(48, "units m of each hidden layer", low=1, high=100_000)
    examples: int = lab.setting(4, "training examples n", low=2, high=12)
    inputs: int = lab.setting(8, "length d of an input", low=2, high=100_000)
    step: float = lab.setting(
        1e-4, "of the central difference along the flow", low=0, exclusive=True
    )


def compute(settings: HierarchySettings, runs: lab.Runs) -> xr.Dataset:
    """How far the kernels' derivatives along the flow are from what the next kernel says, ..."""
    found = runs.draw(partial(_errors, settings), together=TOGETHER)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


@compiled
def _errors(settings: HierarchySettings, keys: Array) -> dict[str, Array]:
    model, step = settings.model, settings.step

    def one(key: Array) -> dict[str, Array]:
        params, x, y = settings.draw(key)

        def along(params: Any, size: float) -> Any:
            """A step of Runge and Kutta along the gradient flow."""

            def slope(params: Any) -> Any:
                risk = lambda params: jnp.sum((model(params, x) - y) ** 2) / (2 * len(y))  # noqa: E731
                return jax.tree.map(jnp.negative, jax.grad(risk)(params))

            def moved(by: float, slopes: Any) -> Any:
                return jax.tree.map(lambda p, s: p + by * s, params, slopes)

            k1 = slope(params)
            k2 = slope(moved(size / 2, k1))
            k3 = slope(moved(size / 2, k2))
            k4 = slope(moved(size, k3))
            total = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
            return moved(size, total)

        flipped = {**params, "a": -params["a"]}
        places = [params, along(params, step), along(params, -step), flipped]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *places)
        K2, K3, K4 = jax.lax.map(lambda there: kernels(model, there, x, 4), stacked)
        f = jax.vmap(lambda there: model(there, x))(stacked)
        residual = f[0] - y
        errors = {}
        for name, lower, higher in zip(ORDERS, (f, K2, K3), (K2, K3, K4), strict=True):
            said = -(higher[0] @ residual) / len(y)
            found = (lower[1] - lower[2]) / (2 * step)
            errors[name] = jnp.linalg.norm(found - said) / jnp.linalg.norm(said)
        swapped = jnp.swapaxes(K3[0], 0, 2)
        return {
            **errors,
            "symmetry": jnp.abs(K3[0] - jnp.swapaxes(K3[0], 0, 1)).max(),
            "asymmetry": jnp.linalg.norm(K3[0] - swapped) / jnp.linalg.norm(K3[0]),
            "even": jnp.maximum(
                jnp.abs(K2[3] - K2[0]).max() / jnp.abs(K2[0]).max(),
                jnp.abs(K4[3] - K4[0]).max() / jnp.abs(K4[0]).max(),
            ),
            "odd": jnp.abs(K3[3] + K3[0]).max() / jnp.abs(K3[0]).max(),
        }

    return jax.lax.map(one, keys)


HIERARCHY = lab.Experiment(
    name="hierarchy",
    doc="kernels of orders 2, 3 and 4 against differences along the flow, and their symmetries",
    settings=HierarchySettings,
    compute=compute,
    runs=8,
    block=64,
)
CASES = HIERARCHY.grid({"quick": {"runs": 8}, "paper": {"runs": 40}}, network=tuple(NETWORKS))


CLAIMS = (
    lab.Claim(
        id="A-1", title="Each kernel moves by the next", group="definitions",
        source=f"{HY}, the hierarchy; exact",
        statement=r"Along the gradient flow, with residuals $r_b$: $f_a′ = −\frac{1}{n} ∑_b "
        r"K_{2,ab} r_b$, and $K_r′ = −\frac{1}{n} ∑_b K_{r+1,b} r_b$.",
        requests=CASES,
        parts=(
            lab.identity(*ORDERS, tolerance=1e-5, what="relative error of the derivatives of "
                                                       "$f$, $K_2$ and $K_3$ against central "
                                                       "differences"),
        ),
        faults=(
            lab.Fault("the derivative of $K_3$ is off by $2·10⁻⁵$", lab.added("K3", 2e-5)),
            lab.Fault("the derivative of f has 1/(n+1) in place of 1/n",
                      lab.changed(lambda cell: cell.assign(
                          f=cell.data.f.values + 1 / (cell.settings.examples + 1)))),
        ),
        does_not_show="Orders above 4.",
    ),
    lab.Claim(
        id="A-2", title="Odd kernels change sign with the read-out", group="definitions",
        source="derived here",
        statement="$K_3$ is symmetric in its first two indices and in no others; $−a$ in place "
        "of $a$ leaves $K_2$ and $K_4$ as they are and turns $K_3$ to $−K_3$, so that the mean "
        "of $K_3$ at the start is 0.",
        requests=CASES,
        parts=(
            lab.identity("symmetry", tolerance=0.0, what="largest difference of $K_3$ with its "
                                                         "first two indices exchanged"),
            lab.identity("even", "odd", tolerance=1e-12,
                         what="relative change of $K_2$ and $K_4$, and of $−K_3$, with $−a$"),
            lab.in_every_run(lambda cells: cells.pooled("asymmetry") > 0.01,
                             "draws whose $K_3$ changes by more than 1 % if first and last "
                             "index are exchanged", share=0.7),
        ),
        faults=(
            lab.Fault("$K_3$ is not symmetric in one run", lab.in_one_run("symmetry", 1e-9)),
            lab.Fault("$K_4$ changes by $2·10⁻¹²$", lab.added("even", 2e-12)),
            lab.Fault("$K_3$ is symmetric in all indices in one run",
                      lab.in_one_run("asymmetry", 0.0)),
        ),
        does_not_show="More than these draws: the statements are algebra.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((HIERARCHY,), CLAIMS)
