"""Run the benchmarks, print a table of ratios, and write all numbers as JSON."""

import argparse
import json
from pathlib import Path

from benchmarks import capacity, environment, networks, reduced, startup, verdicts

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
    words.add_argument("--only", choices=tuple(PARTS), help="measure this part alone")
    options = words.parse_args()

    machine = environment.describe()
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}")
    results: dict = {"environment": machine}
    if options.only is None:
        results |= ensembles(options.repeats, options.runs)
    for name, (measure, show) in PARTS.items():
        if options.only in (None, name):
            results[name] = measure(options.repeats)
            show(results[name])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {options.out}")


def ensembles(repeats: int, runs: int) -> dict:
    """Steps, verdicts and processes."""
    steps = reduced.measure(repeats)
    show_steps(steps)
    success = verdicts.measure(steps["nanoseconds"]["whytrain"], runs)
    show_verdicts(success)
    processes = startup.measure(repeats)
    show_startup(processes)
    return {"reduced": steps, "verdicts": success, "startup": processes}


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


def show_startup(found: dict) -> None:
    """The third table."""
    print("\nWhole processes")
    row("", "seconds", "")
    for name, seconds in found["seconds"].items():
        row(name, f"{seconds:.3f}", "")


def show_capacity(found: dict) -> None:
    """The tables of capacity, sharpness and trace."""
    two, top, trace = found["two_layer"], found["sharpness"], found["trace"]
    print("\nCapacity of a 784-1024-10 network, 1000 samples, float64")
    row("", "seconds", "ratio")
    row("whytrain", f"{two['seconds']['whytrain']:.3f}", "1")
    row("PyTorch, written down", f"{two['seconds']['torch']:.3f}", f"{two['ratio']:.1f}")
    row(f"largest difference of {two['numbers']} numbers", f"{two['largest_difference']:.0e}", "")
    row("largest difference of batches", f"{two['largest_difference_of_batches']:.0e}", "")
    print("\nTop Hessian eigenvalue, 64-512-512-1, 256 points, to 1e-6")
    row("", "seconds", "ratio")
    row(f"whytrain, {top['products']} products", f"{top['seconds']['whytrain']:.2f}", "1")
    for name, ratio in (("float64", top["ratio"]), ("float32", top["ratio_to_float32"])):
        words = f"PyTorch and eigsh, {top['torch_products']} products, {name}"
        row(words, f"{top['seconds'][f'torch {name}']:.2f}", f"{ratio:.1f}")
    row("bound of the relative error", f"{top['residual_bound']:.0e}", "")
    row("difference to PyTorch in float64", f"{top['difference']:.0e}", "")
    row("first call, with compilation", f"{top['first_seconds']['whytrain']:.1f} s", "")
    print(f"\nTrace {trace['true']:.1f} of {trace['parameters']} parameters")
    row("95 % intervals that cover it", f"{trace['covered']}", f"of {trace['repetitions']}")
    row("lowest and highest estimate", f"{trace['lowest']:.1f}", f"{trace['highest']:.1f}")


def show_networks(found: dict) -> None:
    """The fourth table."""
    for name, part in found["networks"].items():
        print(
            f"\nOne step of one {name}, batch {found['batch']}, {part['data']}; "
            f"{found['runs']} runs x 2 and 4 bits x three estimators, float32"
        )
        row("", "ms", "ratio")
        row("whytrain, one program", f"{part['milliseconds']['whytrain']:.2f}", "1")
        for peer, ratio in part["ratio"].items():
            label = f"{peer}, one network after another"
            row(label, f"{part['milliseconds'][peer]:.2f}", f"{ratio:.1f}")
        row("train loss apart, median", f"{part['median_difference_of_train_loss']:.0e}", "")
        row("first call, with compilation", f"{part['first_call_seconds']:.1f} s", "")
    row("threads of PyTorch", f"{found['torch_threads']}", "")


def row(name: str, first: str, second: str) -> None:
    """One line of a table."""
    print(f"  {name:<48}{first:>12}{second:>12}".rstrip(), flush=True)


PARTS = {
    "networks": (networks.measure, show_networks),
    "capacity": (capacity.measure, show_capacity),
}


if __name__ == "__main__":
    main()
