"""`python -m whytrain` is the command `whytrain`."""

import sys

from whytrain.cli import main

if __name__ == "__main__":
    sys.exit(main())
