"""What has to be on record to do a thing again."""

import datetime
import importlib.metadata
import platform
from typing import Any

import whytrain
from whytrain.lab.tasks import Source

_PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "numba", "xarray", "zarr")


def provenance(source: Source, seed: int) -> dict[str, Any]:
    """Say which study and seed this is, when it began, and on which versions.

    Args:
        source: Where the study comes from.
        seed: The seed.

    Returns:
        `study`, `edition`, `seed`, `started` (ISO 8601, UTC) and `versions`, for JSON.
    """
    return {
        "study": source.reference,
        "edition": source.edition,
        "seed": seed,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Give the version of whytrain, of Python, and of each package that matters to numbers."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"whytrain": whytrain.__version__, "python": platform.python_version(), **packages}
