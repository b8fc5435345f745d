"""Claims about the theorems and definitions: each is tested where everything can be computed."""

import math
from collections.abc import Callable

import numpy as np

from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Fault,
    Part,
    above,
    altered,
    at_most,
    estimate_mean,
    estimate_slope,
    identity,
    largest,
)
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.planted import scaled, times
from whytrain.studies.neyshabur2019.trends import gathered, values
from whytrain.studies.neyshabur2019.witness import FLOOR

PAPER = "Neyshabur et al. 2019"
KNOWN = 0.005  # means over draws of the witness need not be known better


def having(cells: Cells, name: str) -> Cells:
    """Those that have a number."""
    return Cells([cell for cell in cells if name in cell.data])


# --- Theorem 1 and 2 ----------------------------------------------------------------------


def _order(cells: Cells) -> Estimate:
    return largest(1 - gathered(cells, "by_norms"))


def _tightness(cells: Cells) -> str:
    ramp, plain, order = (gathered(cells, n) for n in ("ramp_loss", "no_loss", "by_norms"))
    return (
        f"largest complexity over its bound: {ramp.max():.3f} with the ramp loss, "
        f"{plain.max():.3f} without; (7) over (6): {order.min():.4f} or more"
    )


def _gap(cells: Cells) -> Estimate:
    """The gap over its bound, of networks that were trained."""
    trained = having(cells, "test_error")
    gap = gathered(trained, "test_error") - gathered(trained, "train_error")
    return largest(gap / np.sqrt(gathered(trained, "C_neyshabur2019") / gathered(trained, "m")))


def _covering(cells: Cells) -> Estimate:
    return largest(gathered(having(cells, "covering"), "covering"))


# --- Theorem 3 ----------------------------------------------------------------------------


def _means(name: str) -> Callable[[Cells], list[Estimate]]:
    """The mean over draws at every size."""
    return lambda cells: [estimate_mean(values(cell.data, name)) for cell in cells]


def _spectral(cells: Cells) -> Estimate:
    norms = gathered(cells, "spectral")
    return largest(norms[np.isfinite(norms)])  # it is computed for small sizes only


def _over_root(cells: Cells) -> list[Estimate]:
    """The mean ratio over sqrt(h) at every size."""
    return [
        estimate_mean(values(cell.data, "over_linear") / cell.settings.h**0.5) for cell in cells
    ]


def _largest_size(cells: Cells) -> Cell:
    return max(cells, key=lambda cell: cell.settings.h)


def _beyond_linear(cells: Cells) -> Estimate:
    return estimate_mean(values(_largest_size(cells).data, "over_linear"))


def _growth(cells: Cells) -> str:
    sizes = [math.log(cell.settings.h) for cell in cells]
    means = [math.log(values(cell.data, "over_linear").mean()) for cell in cells]
    return (
        f"the ratio goes like h^{estimate_slope(sizes, means).value:.2f} (the construction has "
        f"(1 + 1/h) sqrt(h)) and is {_beyond_linear(cells).value:.2f} at h = "
        f"{_largest_size(cells).settings.h}, for linear networks 1 at most"
    )


THEORY_CLAIMS = (
    Claim(
        id="N-T1", title="Theorem 1 bounds the complexity", group="definitions",
        source=f"{PAPER}, Theorem 1",
        statement="The Rademacher complexity of networks with bounded unit capacities and impacts "
        "is at most (6), and (6) at most (7).",
        requests=requests.tiny,
        parts=(
            identity("ramp_loss", "no_loss", tolerance=1.0,
                     what="largest complexity over its bound (6)"),
            Part("how far (6) exceeds (7), over (6)", _order, at_most(1e-12)),
        ),
        faults=(
            Fault("the bound (6) is half as large", lambda cells: times("ramp_loss", 2.0)(
                times("no_loss", 2.0)(cells))),
            Fault("(7) is smaller by 1e-9 of itself", times("by_norms", 1 - 1e-9)),
        ),
        note=_tightness,
        does_not_show="How tight the constant is: with the ramp loss, one unit and two classes "
        "were gone through, far below the bound.",
    ),
    Claim(
        id="N-T2", title="Theorem 2 bounds the gap", group="definitions",
        source=f"{PAPER}, Theorem 2",
        statement="The union bound over unit capacities and impacts costs at most 5 h: ln N <= 5 "
        "h; and no gap exceeds the bound (which is far above 1, so that this second part is "
        "easy).",
        requests=requests.covered,
        parts=(
            Part("largest gap over its bound", _gap, at_most(1.0)),
            Part("largest ln N / h, for 2 to 10^6 units", _covering, at_most(5.0)),
        ),
        faults=(
            Fault("N is N^1.5", times("covering", 1.5)),
            Fault("the capacity is a 10^8-th of what it is", times("C_neyshabur2019", 1e-8)),
        ),
        does_not_show="Anything about the gap of these networks, for the bound is vacuous: see "
        "N-E8-vacuous.",
        figures=("bounds",),
    ),
    Claim(
        id="N-T3", title="Theorem 3: the bound cannot be improved", group="definitions",
        source=f"{PAPER}, Theorem 3",
        statement="There are samples on which the complexity is at least a constant times sum_j "
        "alpha_j beta_j ||X||_F / m, with ||U - U0||_2 <= max beta: 1/(4 sqrt 2), whatever h and "
        "n.",
        requests=requests.witnesses,
        parts=(
            Part("mean of what the witness reaches over sum alpha beta ||X||_F / m, at every size",
                 _means("ratio"), above(FLOOR, resolution=KNOWN)),
            Part("largest ||U||_2 over max beta", _spectral, at_most(1 + 1e-9)),
        ),
        faults=(
            Fault("it falls like h^(-1/10)", scaled("ratio", lambda settings: settings.h**-0.1)),
            Fault("||U||_2 is larger by a millionth", times("spectral", 1 + 1e-6)),
        ),
        does_not_show="Samples other than copies of unit vectors.",
    ),
    Claim(
        id="N-T3b", title="So is its second term needed", group="definitions",
        source=f"{PAPER}, Theorem 3, second term",
        statement="With beta = 0 the complexity is at least a constant times sum_j alpha_j "
        "||u0_j X|| / m: 1/2 on symmetric samples.",
        requests=requests.witnesses,
        parts=(Part("mean of what is reached over sum alpha ||u0 X|| / m, at every size",
                    _means("initial_ratio"), above(0.5, resolution=KNOWN)),),
        faults=(Fault("it is a fifth lower", times("initial_ratio", 0.8)),),
        does_not_show="Samples that do not hold -x with x.",
    ),
    Claim(
        id="N-C4", title="Beyond linear networks by a root of the width", group="definitions",
        source=f"{PAPER}, Corollary 4",
        statement="Bounded spectral norms allow a complexity that is sqrt(h) times that of linear "
        "networks, up to a constant, 1/(4 sqrt 2) or more, and beyond what any linear network has, "
        "1.",
        requests=requests.equal_witnesses,
        parts=(
            Part("mean ratio to linear networks over sqrt(h), at every size", _over_root,
                 above(FLOOR, resolution=KNOWN)),
            Part("mean ratio to linear networks, at the largest size", _beyond_linear,
                 above(1.0, resolution=KNOWN)),
        ),
        faults=(
            Fault("the ratio grows like h^(2/5)",
                  scaled("over_linear", lambda settings: settings.h**-0.1)),
            Fault("it does not grow", scaled("over_linear", lambda settings: settings.h**-0.5)),
        ),
        note=_growth,
        does_not_show="Networks found by training: the witness was constructed.",
    ),
    Claim(
        id="N-D1", title="Units add up to Frobenius norms", group="definitions",
        source=f"{PAPER}, definitions",
        statement="Squared unit capacities sum to ||U - U0||_F^2, squared unit impacts to "
        "||V||_F^2.",
        requests=requests.widths,
        parts=(identity("sum_of_squares_error", tolerance=1e-10,
                        what="largest relative difference of either sum"),),
        faults=(Fault("a sum differs by 1e-9 of itself",
                      altered("sum_of_squares_error", lambda error: error + 1e-9)),),
        does_not_show="Networks with more than one hidden layer.",
        figures=("errors", "layers"),
    ),
    Claim(
        id="N-D2", title="The margin is Lipschitz", group="definitions",
        source=f"{PAPER}, definition of the margin",
        statement="The margin changes by at most sqrt(2) times the change of the logits.",
        requests=requests.tiny,
        parts=(identity("margin_slope", tolerance=math.sqrt(2) + 1e-9,
                        what="largest difference quotient of the margin in the logits"),),
        faults=(Fault("the margin changes by 2 % more", times("margin_slope", 1.02)),),
        does_not_show="That the constant is the least: random changes come near it only.",
    ),
    Claim(
        id="N-D3-printed", title="The ramp loss as printed does not jump", group="caveats",
        source=f"{PAPER}, equation (1) as printed",
        statement="The ramp loss, with mu/gamma for its middle branch, has slope 1/gamma at most.",
        requests=requests.tiny,
        parts=(identity("printed_slope", tolerance=1 + 1e-6,
                        what="largest slope times gamma, over random margins"),),
        faults=(Fault("the middle branch is 1 - mu/gamma", lambda cells: cells.change(
            lambda cell: cell.assign(printed_slope=cell.data.ramp_slope.values))),),
        does_not_show="What the authors' code uses.",
        expected="contradicted",
    ),
    Claim(
        id="N-D3", title="The ramp loss does not jump", group="definitions",
        source=f"{PAPER}, equation (1) corrected",
        statement="The ramp loss, with 1 - mu/gamma for its middle branch, has slope 1/gamma at "
        "most.",
        requests=requests.tiny,
        parts=(identity("ramp_slope", tolerance=1 + 1e-6,
                        what="largest slope times gamma, over random margins"),),
        faults=(Fault("the slope is larger by 1e-5", times("ramp_slope", 1 + 1e-5)),),
        does_not_show="Margins beyond those drawn, from -gamma/2 to 3 gamma/2.",
    ),
)  # fmt: skip
