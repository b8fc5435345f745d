"""What the benchmarks print."""


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


def show_landscape(found: dict) -> None:
    """The table of a landscape that is a network."""
    print(
        f"\nA landscape of {found['parameters']} parameters on {found['points']} points, "
        f"{found['steps']} steps, float64"
    )
    row("", "seconds", "ratio")
    for runs in ("1", "2"):
        ours, peer = found[runs]["whytrain"], found[runs]["vmap"]
        for when, words in (("first", "with compilation"), ("again", "compiled before")):
            row(f"{runs} run{'s' * (runs > '1')}, {words}: jax.vmap", f"{peer[when]:.4f}", "1")
            row("  whytrain", f"{ours[when]:.4f}", f"{ours[when] / peer[when]:.2f}")


def show_startup(found: dict) -> None:
    """The third table."""
    print("\nWhole processes")
    row("", "seconds", "")
    for name, seconds in found["seconds"].items():
        row(name, f"{seconds:.3f}", "")


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
        row(
            "train loss of the first epoch apart, median",
            f"{part['median_difference_of_train_loss']:.0e}",
            "",
        )
        row("first call, with compilation", f"{part['first_call_seconds']:.1f} s", "")
    print("\nAll trainings of both networks")
    row("PyTorch, one network after another", "", f"{found['ratio']:.1f}")
    row("threads of PyTorch", f"{found['torch_threads']}", "")


def show_sweeps(found: dict) -> None:
    """The table of scheduling."""
    print(f"\nSweeps: {found['settings']} settings that compute nothing, in this process")
    row("settings a second", f"{found['settings_per_second']:.0f}", "")
    row("to open the directory and read a result", f"{found['open_seconds']:.2f} s", "")
    row("to tell its status", f"{found['status_seconds']:.2f} s", "")
    print(f"\nSweeps: {found['executors']['pieces']} pieces of one second, one at a time")
    row("", "seconds", "overhead")
    for name, seconds in found["executors"]["seconds"].items():
        row(name, f"{seconds:.2f}", f"{found['executors']['overhead'][name]:.1%}")
    print(f"\nSuccess table of {found['table']['runs']} runs a cell, compiled before")
    row("", "seconds", "ratio")
    for cores, seconds in found["table"]["seconds"].items():
        row(f"{cores} core{'s' * (cores > 1)}", f"{seconds:.2f}", "")
    row("ratio", "", f"{found['table']['ratio']:.2f}")


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
    row("error of PyTorch in float32, without a bound", f"{top['float32_error']:.0e}", "")
    row("first call, with compilation", f"{top['first_seconds']['whytrain']:.1f} s", "")
    print(f"\nTrace {trace['true']:.1f} of {trace['parameters']} parameters")
    row("95 % intervals that cover it", f"{trace['covered']}", f"of {trace['repetitions']}")
    row("lowest and highest estimate", f"{trace['lowest']:.1f}", f"{trace['highest']:.1f}")


def show_curvature(found: dict) -> None:
    """The tables of traces and eigenvalues beside other tools, and of a large network."""
    for name, tools in found["trace"].items():
        print(f"\nTrace of a matrix of 200, eigenvalues {name}")
        row("", "rms error", "95 % cover")
        for tool, each in tools.items():
            row(tool, f"{each['error']:.2g}", f"{each['covered']:.1%}")
    print("\nTop Hessian eigenvalue, 64-512-512-1, 256 points")
    row("", "seconds", "value")
    for tool, each in found["top"].items():
        bound = "" if each["bound"] is None else f" ± {each['bound']:.0e}"
        row(f"{tool}{bound}", f"{each['seconds']:.2f}", f"{each['value']:.6f}")
    for what, each in found["large"].items():
        print(f"\nThe {what} of {each['parameters']:,} parameters, {each['products']} products")
        row("seconds, with compilation", f"{each['seconds']:.0f}", "")
        row("largest memory of the process", f"{each['gigabytes']:.2f} GiB", "")
        row("reach of the interval, or residual, relative", f"{each['relative_error']:.1e}", "")


def show_kernels(found: dict) -> None:
    """The tables of tangent kernels."""
    for name, each in found["kernels"].items():
        print(f"\nTangent kernel, {name}, float32")
        row("", "seconds", "ratio")
        row("whytrain", f"{each['seconds']['whytrain']:.4f}", "1")
        for peer, ratio in each["ratio"].items():
            row(peer, f"{each['seconds'][peer]:.4f}", f"{ratio:.2f}")
            row("  largest difference, relative", f"{each['apart'][peer]:.0e}", "")
    print(f"\nMean kernel of {found['means']} networks, two inputs, four layers, width 20")
    row("whytrain, with compilation", f"{found['means_seconds']:.0f} s", "")


def show_runs(found: dict) -> None:
    """The table of many small trainings."""
    titles = {
        "adam": "Adam on feature and noise patches, d = 1000, n = 200, float32",
        "descent": "Descent on two-layer leaky networks, four data sets, float64",
    }
    for name, each in found.items():
        print(f"\n{titles[name]}: {each['runs']} runs, one step of one of them")
        row("", "µs", "ratio")
        for who, value in each["seconds"].items():
            label = who if who == "whytrain" else f"PyTorch, {who}"
            row(label, f"{1e6 * value:.0f}", f"{each['ratio'][who]:.1f}")
        row("largest difference at the end", f"{each['apart']:.0e}", "")
        row("threads of PyTorch", f"{each['threads']}", "")
    for who, errors in found["adam"]["test_error"].items():
        row(f"test errors after 10,000 steps: {who}", f"{sum(errors) / len(errors):.4f}", "")


def show_processor(found: dict) -> None:
    """The tables of processor time."""
    print("\nProcessor time of whole commands, liu2019/success-rate --runs 5000")
    row("", "s", "ratio")
    script = found["seconds"]["plain NumPy script"]
    for name, value in found["seconds"].items():
        label = f"whytrain run, {name}" if name.endswith("call") else name
        row(label, f"{value:.2f}", f"{value / script:.2f}")
    print("\nProcessor time of a run, k patches of length k, at most 256 steps")
    row("k", "µs", "")
    for k, value in found["microseconds"].items():
        row(f"{int(k):,}", f"{value:.1f}", "")


def row(name: str, first: str, second: str) -> None:
    """One line of a table."""
    print(f"  {name:<48}{first:>12}{second:>12}".rstrip(), flush=True)
