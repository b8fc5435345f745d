"""The kinds of update, by which a method and a landscape agree on what is done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A kind of update: what a method says that it does.

    A `Reduction` lists the rules under which it is exact, and a landscape is asked for proofs and
    for stability under one of them. Rules are equal where both of their fields are.

    Attributes:
        name: The method that follows it and does nothing else, as a user writes it.
        move: The landscape's function of `(params, step_sizes)` that gives the parameters after one
            step, or the velocity of a flow.

    Example:
        A rule of your own; a landscape that takes part has a method `heavy_ball_step`::

            HEAVY_BALL = Rule("HeavyBall", "heavy_ball_step")
    """

    name: str
    move: str


DESCENT = Rule("GradientDescent", "plain_step")
NORMALIZED_DESCENT = Rule("NormalizedGradientDescent", "normalized_step")
FLOW = Rule("GradientFlow", "plain_velocity")
NORMALIZED_FLOW = Rule("NormalizedGradientFlow", "normalized_velocity")


def first_owner(cls: type, name: str) -> int:
    """Which of a class's ancestors, counted from itself, has the word on a name."""
    return next((i for i, base in enumerate(cls.__mro__) if name in vars(base)), len(cls.__mro__))
