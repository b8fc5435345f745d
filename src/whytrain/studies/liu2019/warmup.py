"""Does every run escape with warm-up, and is it needed?"""

import functools
import itertools
import math
import operator

from whytrain.errors import UserError
from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Fault,
    Figure,
    Part,
    Topic,
    above,
    below,
    estimate_rate,
    estimate_rate_difference,
    in_every_run,
    in_one_run,
)
from whytrain.landscapes import Outcome
from whytrain.report import figures as draw
from whytrain.studies.liu2019.outcomes import ended, ends_at, success_rates, successes
from whytrain.studies.liu2019.setup import LIU, length, prior, ratio
from whytrain.studies.liu2019.success import SUCCESS_RATE, TABLE

# Over k, priors up to the paper's pi/3, and teachers.
WARMED_UP = TABLE.at(warmup=True) + SUCCESS_RATE.grid(
    {"quick": {"runs": 500}, "paper": {"runs": 5000}},
    k=(16, 49),
    angle=(math.pi / 6, math.pi / 3),
    alignment=(1 / 16, 1.0, 4.0),
    norm=(1.0, None),
)
# Over the teacher's length, 1 to k, and the ratio of step sizes.
COLD = functools.reduce(operator.add, [
    SUCCESS_RATE.grid(
        {"quick": {"runs": 1000}, "paper": {"runs": 5000}},
        k=25,
        warmup=False,
        norm=lambda at, power=power: at.k**power,
        step_size=lambda at: 1 / at.k**2,
        filter_step_size=lambda at, ratio=ratio: ratio * at.step_size,
    )
    for power in (0.0, 0.5, 1.0)
    for ratio in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
])  # fmt: skip


def _ladder(cells: Cells) -> list[Cell]:
    """The longest teacher, over rising ratios of step sizes."""
    longest = cells.sel(norm=max(cell.settings.norm for cell in cells))
    if len(longest) < 2:
        raise UserError("the claim compares ratios of step sizes; leave filter_step_size unset")
    return sorted(longest, key=lambda cell: cell.settings.filter_step_size)


def _last_rate(cells: Cells) -> Estimate:
    return estimate_rate(*successes(_ladder(cells)[-1]))


def _fall(cells: Cells) -> Estimate:
    ladder = _ladder(cells)
    return estimate_rate_difference(successes(ladder[0]), successes(ladder[-1]))


def _rises(cells: Cells) -> list[Estimate]:
    """How much the rate rises from one ratio to the next."""
    ladder = [successes(cell) for cell in _ladder(cells)]
    return [estimate_rate_difference(b, a) for a, b in itertools.pairwise(ladder)]


def _upside_down(cells: Cells) -> Cells:
    ladder = _ladder(cells)
    pairs = zip(ladder, reversed(ladder), strict=True)
    return Cells([Cell(a.settings, b.data) for a, b in pairs])


def _rates_in_words(cells: Cells) -> str:
    ladder = _ladder(cells)
    path = ", ".join(f"{count / runs:.3f}" for count, runs in map(successes, ladder))
    return (
        f"with ‖a*‖ = {length(ladder[0].settings)} the rates over η_w/η_a = 1/16, …, 1 are {path}"
    )


def _draw(cells: Cells) -> tuple:
    series = [
        success_rates(
            some,
            [ratio(cell.settings) for cell in some],
            f"‖a*‖ = {length(some[0].settings)}",
            color,
        )
        for some, color in zip(cells.by("norm").values(), ("gray", "purple", "green"), strict=False)
    ]
    figure = draw.lines(series, x_label="η_w / η_a", y_label="success rate", log="x")
    at = cells[0].settings
    return figure, (
        f"ResNet without warm-up, k = {at.k}, prior {prior(at)}, S²/A = {at.alignment:g}. "
        "Whether it can fail depends on the length of the teacher's output times the ratio of step "
        "sizes: short teachers never need warm-up, long ones do, the more so the faster the filter "
        "moves."
    )


TOPIC = Topic(
    claims=(
        Claim(
            id="escape", title="With prior and warm-up every run escapes", group="dynamics",
            source=f"{LIU}, stage I",
            statement="With the shortcut prior (φ₀ ≤ π/3), w₀ = 0, any a₀ in the ball ‖a₀‖ ≤ "
            "|S|/√k, and a long enough warm-up, every run leaves the spurious basin.",
            requests=WARMED_UP,
            parts=(in_every_run(ended(Outcome.GLOBAL), "runs that come to the global optimum",
                                0.999, resolution=0.0),),
            faults=(
                Fault("one run fails", in_one_run("outcome", Outcome.SPURIOUS)),
                Fault("no warm-up", requests=COLD),
            ),
            does_not_show="Other priors and warm-ups; of weaker priors another claim speaks.",
            figures=("success-rate", "phase-prior", "trajectories"),
        ),
        Claim(
            id="warmup-needed", title="Without warm-up it can fail", group="experiments",
            source=f"{LIU}, success table",
            statement="Without warm-up the ResNet can fail (here: in more than one run of a "
            "hundred), and fails more often as η_w/η_a grows.",
            requests=COLD,
            parts=(
                Part("success rate at η_w/η_a = 1, ‖a*‖ = k", _last_rate,
                     below(0.99, resolution=0.005)),
                Part("how much it is lower than at η_w/η_a = 1/16", _fall,
                     above(0.0, resolution=0.01)),
                Part("rise from one ratio to the next", _rises, below(0.05, resolution=0.01)),
            ),
            faults=(
                Fault("the ratios are turned round", _upside_down),
                Fault("no run fails", ends_at(Outcome.GLOBAL, 1.0)),
            ),
            note=_rates_in_words,
            does_not_show="Short teachers, ‖a*‖ ≤ √k, who need no warm-up.",
            figures=("warmup",),
        ),
    ),
    figures=(Figure("warmup", "When warm-up is needed", COLD, _draw),),
)  # fmt: skip
