"""Do Theorems 1 and 2 hold? Rademacher complexities of tiny classes by brute force."""

import itertools
import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.measures.bounds import covering_number_log, theorem1, theorem1_by_norms
from whytrain.measures.sample import margins, ramp
from whytrain.studies.neyshabur2019.trends import PAPER, gathered
from whytrain.studies.neyshabur2019.width import WIDTHS

_GRID = 61
_UNITS = (2, 8, 64, 1024, 32768, 10**6)  # widths at which the covering number is evaluated


@dataclass(frozen=True, kw_only=True)
class TinySettings(lab.Settings):
    """The size of the class and of the sample."""

    h: int = lab.setting(3, "hidden units of the class without loss", low=1, high=16)
    m: int = lab.setting(7, "examples; all 2^m sign vectors are gone through", low=1, high=12)


def compute(settings: TinySettings, runs: lab.Runs) -> xr.Dataset:
    """Ratios of complexities to their bounds, and slopes of the margin and of both ramps.

    Besides `covering`, the largest `ln N / h` over numbers of units h: nothing about it is random.
    """
    with jax.enable_x64(True):
        seeds = np.asarray(jax.vmap(lambda key: jax.random.bits(key, dtype=np.uint32))(runs.keys()))
    rows = [_one(settings, np.random.default_rng(int(seed))) for seed in seeds]
    return xr.Dataset({name: ("run", [row[name] for row in rows]) for name in rows[0]})


def _one(settings: TinySettings, rng: np.random.Generator) -> dict[str, float]:
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=settings.m)))
    alpha, beta = rng.exponential(size=(2, settings.h))
    x, U0 = rng.normal(size=(settings.m, 2)), rng.normal(size=(settings.h, 2))
    facts = (float(np.linalg.norm(x)), np.linalg.norm(U0 @ x.T, axis=1), 2, 1.0, settings.m)
    unit = theorem1(alpha, beta, *facts)
    return {
        "no_loss": _no_loss(signs, alpha, beta, x, U0), "ramp_loss": _ramp_loss(signs, rng),
        "by_norms": theorem1_by_norms(alpha, beta, *facts) / unit, **_slopes(rng),
        "covering": max(covering_number_log(h) / h for h in _UNITS),
    }  # fmt: skip


def _no_loss(
    signs: np.ndarray, alpha: np.ndarray, beta: np.ndarray, x: np.ndarray, U0: np.ndarray
) -> float:
    """The complexity of one output without loss over `(1/m) sum_j alpha_j (beta_j |X| + |u0_j X|)`.

    The supremum is taken unit by unit, for `v_j` may have either sign; over a grid of each disc, so
    that the complexity comes out a little too small.
    """
    angles = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    disc = np.concatenate([radius * circle for radius in np.linspace(0, 1, 9)])
    total, bound = 0.0, 0.0
    for a, b, u in zip(alpha, beta, U0, strict=True):
        outputs = np.maximum((u + b * disc) @ x.T, 0)
        total += a * float(np.abs(signs @ outputs.T).max(axis=1).mean())
        bound += a * (b * float(np.linalg.norm(x)) + float(np.linalg.norm(x @ u)))
    return total / bound


def _ramp_loss(signs: np.ndarray, rng: np.random.Generator) -> float:
    """The complexity of the ramp loss over (6), for one unit, one input and two classes."""
    m = signs.shape[1]
    (alpha, beta), u0, gamma = rng.exponential(size=2), rng.normal(), rng.exponential()
    x, y = rng.normal(size=m), rng.integers(0, 2, m)
    turn = np.linspace(-1, 1, _GRID)
    hidden = np.maximum((u0 + beta * turn)[:, None] * x, 0)
    # Only the difference of both output weights enters the margin; it is sqrt(2) alpha at most.
    gaps = np.sqrt(2) * alpha * turn
    found = (gaps[:, None, None] * hidden * np.where(y == 0, 1, -1)).reshape(-1, m)
    losses = ramp(found.ravel(), gamma).reshape(found.shape)
    complexity = float((signs @ losses.T).max(axis=1).mean()) / m
    one = np.ones(1)
    response = float(np.linalg.norm(u0 * x)) * one
    bound = theorem1(alpha * one, beta * one, float(np.linalg.norm(x)), response, 2, gamma, m)
    return complexity / bound


def _slopes(rng: np.random.Generator) -> dict[str, float]:
    """Largest difference quotients: of the margin, and of both ramps in units of `1 / gamma`."""
    logits = rng.normal(size=(400, 4))
    other = logits + rng.normal(size=(400, 4)) * rng.exponential(size=(400, 1))
    labels = np.zeros(400, int)
    change = np.abs(margins(logits, labels) - margins(other, labels))
    gamma = 1.0
    at = np.sort(rng.uniform(-0.5, 1.5, 2000))
    printed = np.select([at > gamma, at >= 0], [0.0, at / gamma], 1.0)
    quotient = lambda loss: float((np.abs(np.diff(loss)) / np.diff(at)).max())  # noqa: E731
    return {
        "margin_slope": float((change / np.linalg.norm(logits - other, axis=1)).max()),
        "ramp_slope": quotient(ramp(at, gamma)), "printed_slope": quotient(printed),
        "ramp_below_error": float((ramp(at, gamma) < (at <= 0)).any()),
        "printed_below_error": float((printed < (at <= 0)).any()),
    }  # fmt: skip


TINY = lab.Experiment(
    name="tiny",
    doc="Rademacher complexities of tiny classes by brute force, over their bounds",
    settings=TinySettings,
    compute=compute,
    runs=30,
    block=64,
    version=2,
)
CLASSES = TINY.grid({"quick": {"runs": 30}, "paper": {"runs": 200}}, h=(1, 3))


def _having(cells: lab.Cells, name: str) -> lab.Cells:
    """Those that have a number."""
    return lab.Cells([cell for cell in cells if name in cell.data])


def _order(cells: lab.Cells) -> lab.Estimate:
    return lab.largest(1 - gathered(cells, "by_norms"))


def _tightness(cells: lab.Cells) -> str:
    ramp, plain, order = (gathered(cells, n) for n in ("ramp_loss", "no_loss", "by_norms"))
    return (
        f"largest complexity over its bound: {ramp.max():.3f} with the ramp loss, "
        f"{plain.max():.3f} without; (7) over (6): {order.min():.4f} or more"
    )


def _gap(cells: lab.Cells) -> lab.Estimate:
    """The gap over its bound, of networks that were trained."""
    trained = _having(cells, "test_error")
    gap = gathered(trained, "test_error") - gathered(trained, "train_error")
    return lab.largest(gap / np.sqrt(gathered(trained, "C_neyshabur2019") / gathered(trained, "m")))


def _covering(cells: lab.Cells) -> lab.Estimate:
    return lab.largest(gathered(_having(cells, "covering"), "covering"))


CLAIMS = (
    lab.Claim(
        id="N-T1", title="Theorem 1 bounds the complexity", group="definitions",
        source=f"{PAPER}, Theorem 1",
        statement="The Rademacher complexity of networks with bounded unit capacities and "
        "impacts is at most the paper's bound (6), and (6) is at most (7).",
        requests=CLASSES,
        parts=(
            lab.identity("ramp_loss", "no_loss", tolerance=1.0,
                         what="largest complexity over its bound (6)"),
            lab.Part("how far (6) exceeds (7), over (6)", _order, lab.at_most(1e-12)),
        ),
        faults=(
            lab.Fault("the bound (6) is half as large", lambda cells: lab.scaled("ramp_loss", 2.0)(
                lab.scaled("no_loss", 2.0)(cells))),
            lab.Fault("(7) is smaller by $10⁻⁹$ of itself", lab.scaled("by_norms", 1 - 1e-9)),
        ),
        note=_tightness,
        does_not_show="How tight the constant is: with the ramp loss, one unit and two classes "
        "were gone through, far below the bound.",
    ),
    lab.Claim(
        id="N-T2", title="Theorem 2 bounds the gap", group="definitions",
        source=f"{PAPER}, Theorem 2",
        statement="The union bound over unit capacities and impacts costs at most $5h$: $ln N ≤ "
        "5h$; and no gap exceeds the bound (which is far above 1, so that this second part is "
        "easy).",
        requests=WIDTHS + CLASSES,
        parts=(
            lab.Part("largest gap over its bound", _gap, lab.at_most(1.0)),
            lab.Part("largest $ln N/h$, for 2 to $10⁶$ units", _covering, lab.at_most(5.0)),
        ),
        faults=(
            lab.Fault("$N$ is $N^{1.5}$", lab.scaled("covering", 1.5)),
            lab.Fault("the capacity is $10⁻⁸$ of what it is", lab.scaled("C_neyshabur2019", 1e-8)),
        ),
        does_not_show="Anything about the gap of these networks, for the bound is vacuous: see "
        "N-E8-vacuous.",
        figures=("bounds",),
    ),
    lab.Claim(
        id="N-D2", title="The margin is Lipschitz", group="definitions",
        source=f"{PAPER}, definition of the margin",
        statement=r"The margin changes by at most $\sqrt{2}$ times the change of the logits.",
        requests=CLASSES,
        parts=(lab.identity("margin_slope", tolerance=math.sqrt(2) + 1e-9,
                            what="largest difference quotient of the margin in the logits"),),
        faults=(lab.Fault("the margin changes by 2 % more", lab.scaled("margin_slope", 1.02)),),
        does_not_show="That the constant is the least: random changes come near it only.",
    ),
    lab.Claim(
        id="N-D3-printed", title="The ramp loss as printed does not jump", group="caveats",
        source=f"{PAPER}, equation (1) as printed",
        statement="The ramp loss, with $μ/γ$ for its middle branch, has a slope of $1/γ$ at "
        "most.",
        requests=CLASSES,
        parts=(lab.identity("printed_slope", tolerance=1 + 1e-6,
                            what="largest slope times $γ$, over random margins"),),
        faults=(lab.Fault("the middle branch is $1 − μ/γ$", lab.changed(
            lambda cell: cell.assign(printed_slope=cell.data.ramp_slope.values))),),
        does_not_show="What the authors' code uses.",
        expected="contradicted",
    ),
    lab.Claim(
        id="N-D3", title="The ramp loss does not jump", group="definitions",
        source=f"{PAPER}, equation (1) corrected",
        statement="The ramp loss, with $1 − μ/γ$ for its middle branch, has a slope of $1/γ$ at "
        "most.",
        requests=CLASSES,
        parts=(lab.identity("ramp_slope", tolerance=1 + 1e-6,
                            what="largest slope times $γ$, over random margins"),),
        faults=(lab.Fault("the slope is larger by $10⁻⁵$", lab.scaled("ramp_slope", 1 + 1e-5)),),
        does_not_show="Margins beyond those drawn, from $−γ/2$ to $3γ/2$.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((TINY,), CLAIMS)
