"""Run the benchmarks, print a table of ratios, and write all numbers as JSON."""

import argparse
import json
from pathlib import Path

from benchmarks import descent, environment, reduced, startup, verdicts

DEFAULT = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    """Measure, print, write."""
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--out", type=Path, default=DEFAULT, help="the JSON file to write")
    words.add_argument(
        "--repeats", type=int, default=7, help="turns of each contender (%(default)s)"
    )
    words.add_argument(
        "--runs", type=int, default=5000, help="runs a cell of the success table (%(default)s)"
    )
    words.add_argument(
        "--only",
        choices=("reduced", "verdicts", "descent", "startup"),
        action="append",
        help="this part alone; may be repeated",
    )
    options = words.parse_args()
    wanted = set(options.only or ("reduced", "verdicts", "descent", "startup"))

    machine = environment.describe()
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}")
    results: dict = {"environment": machine}
    if wanted & {"reduced", "verdicts"}:
        results["reduced"] = reduced.measure(options.repeats)
        show_steps(results["reduced"])
    if "verdicts" in wanted:
        ours = results["reduced"]["nanoseconds"]["whytrain"]
        results["verdicts"] = verdicts.measure(ours, options.runs)
        show_verdicts(results["verdicts"])
    if "descent" in wanted:
        results["descent"] = descent.measure(options.repeats)
        show_descent(results["descent"])
    if "startup" in wanted:
        results["startup"] = startup.measure(options.repeats)
        show_startup(results["startup"])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {options.out}")


def show_steps(found: dict) -> None:
    """The first table."""
    print(
        f"\nOne step of one run, k = {found['k']}, p = {found['p']}, {found['runs']} runs, float64"
    )
    row("", "ns", "ratio")
    ours = found["nanoseconds"]["whytrain"]
    row("whytrain, three order parameters", f"{ours:.2f}", "1")
    for name, ratio in found["ratio"].items():
        row(f"{name}, full state", f"{found['nanoseconds'][name]:.0f}", f"{ratio:.0f}")
    row("threads of PyTorch", f"{found['torch_threads']}", "")
    row("largest difference of an order parameter", f"{found['largest_difference']:.0e}", "")
    row("first call, with compilation", f"{found['first_call_seconds']:.1f} s", "")


def show_verdicts(found: dict) -> None:
    """The second table."""
    print(f"\nSuccess table: {found['cells']} cells of {found['runs']} runs")
    row("", "seconds", "steps")
    row("early verdicts", f"{found['early_seconds']:.1f}", f"{found['early_steps']:.2e}")
    note = "full runs"
    if found["full_runs"] < found["runs"]:
        note += f" (from {found['full_runs']} runs a cell)"
    row(note, f"{found['full_seconds']:.1f}", f"{found['full_steps']:.2e}")
    row("ratio", f"{found['ratio_seconds']:.1f}", f"{found['ratio_steps']:.1f}")
    row("before, to compile", f"{found['compile_seconds']:.1f}", "")
    compared = found["cells"] * found["full_runs"]
    row(f"disagreements in {compared} runs", f"{found['disagreements']}", "")


def show_descent(found: dict) -> None:
    """The table of coarse gradient descent."""
    print(
        f"\nCoarse gradient descent, one step of one run, m = {found['m']}, n = {found['n']}, "
        f"{found['runs']} runs, float64, {found['torch_threads']} threads of PyTorch"
    )
    for name, each in found["estimators"].items():
        row(name, "ns", "ratio")
        row("  whytrain, five order parameters", f"{each['whytrain']:.2f}", "1")
        row("  PyTorch, full state", f"{each['PyTorch']:.0f}", f"{each['ratio']:.0f}")
        row("  largest difference", f"{each['largest_difference']:.0e}", "")


def show_startup(found: dict) -> None:
    """The third table."""
    print("\nWhole processes")
    row("", "seconds", "")
    for name, seconds in found["seconds"].items():
        row(name, f"{seconds:.3f}", "")


def row(name: str, first: str, second: str) -> None:
    """One line of a table."""
    print(f"  {name:<48}{first:>12}{second:>12}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
