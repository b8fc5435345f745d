"""How a command ended, as the shell sees it."""

import enum


class Status(enum.IntEnum):
    """The exit status of a command.

    Attributes:
        DONE: Done, and every verdict is the one that the study expects.
        DIFFERS: Done, and a verdict differs.
        MISTAKE: The user's mistake; nothing was done.
        INTERRUPTED: Ctrl-C.
        UNREAD: Nobody reads the output any more, as in `whytrain list | head -1`: what the shell
            reports of other commands then, 128 and the number of SIGPIPE.
    """

    DONE = 0
    DIFFERS = 1
    MISTAKE = 2
    INTERRUPTED = 130
    UNREAD = 141
