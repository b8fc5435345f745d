"""The command line: it parses, calls, prints, and decides on the exit status."""

from whytrain.cli.main import main

__all__ = ["main"]
