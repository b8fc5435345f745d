"""The machine and the versions that a measurement holds for."""

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = (
    "whytrain", "curvlinops-for-pytorch", "jax", "jaxlib", "matfree", "numba", "numpy", "torch",
    "xarray",
)  # fmt: skip


def describe() -> dict:
    """Name the machine, its load while we measure, and what is installed."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
