"""Run the benchmarks, print a table of ratios, and write all numbers as JSON."""

import argparse
import json
from pathlib import Path

from benchmarks import (
    capacity,
    curvature,
    descent,
    environment,
    kernels,
    landscape,
    networks,
    processor,
    reduced,
    runs,
    startup,
    sweeps,
    tables,
    verdicts,
)

DEFAULT = Path(__file__).parent / "results" / "latest.json"

PARTS = {
    "reduced": (reduced.measure, tables.show_steps),
    "verdicts": (verdicts.measure, tables.show_verdicts),
    "descent": (descent.measure, tables.show_descent),
    "landscape": (landscape.measure, tables.show_landscape),
    "networks": (networks.measure, tables.show_networks),
    "capacity": (capacity.measure, tables.show_capacity),
    "curvature": (curvature.measure, tables.show_curvature),
    "kernels": (kernels.measure, tables.show_kernels),
    "runs": (runs.measure, tables.show_runs),
    "sweeps": (sweeps.measure, tables.show_sweeps),
    "startup": (startup.measure, tables.show_startup),
    "processor": (processor.measure, tables.show_processor),
}


def main() -> None:
    """Measure, print, write."""
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--out", type=Path, default=DEFAULT, help="the JSON file to write")
    words.add_argument(
        "--repeats", type=int, default=7, help="turns of each contender (%(default)s)"
    )
    words.add_argument(
        "--only", choices=PARTS, action="append", help="this part alone; may be repeated"
    )
    options = words.parse_args()

    machine = environment.describe()
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}")
    results: dict = {"environment": machine}
    for name in options.only or PARTS:
        measure, show = PARTS[name]
        results[name] = measure(options.repeats)
        show(results[name])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
