"""Where a run can end, as a word and as the small number that ensembles store."""

from enum import IntEnum


class Outcome(IntEnum):
    """Where a run ended.

    Attributes:
        UNDECIDED: Somewhere else: not converged within the steps it was given.
        GLOBAL: At a global minimum.
        SPURIOUS: At a local minimum that is not global.
        SADDLE: At a critical point that is no minimum.
        DIVERGED: Not finite, or bouncing under a step size with no stable minimum.
        COLLAPSED: At a filter of length zero, which has no direction and no gradient, but pulls
            from all sides: the run slides or chatters there and converges to no critical point.
    """

    UNDECIDED = 0
    GLOBAL = 1
    SPURIOUS = 2
    SADDLE = 3
    DIVERGED = 4
    COLLAPSED = 5

    @property
    def word(self) -> str:
        """The name in lower case.

        Example:
            >>> Outcome.GLOBAL.word
            'global'
        """
        return self.name.lower()
