"""Plant small faults in the code, one at a time, and see whether a test notices.

Run by `make mutants`; `mutations.py` says which faults. A process that has imported everything but
whytrain forks a child for each: its import of the module yields the changed source, so that no file
is touched, and the tests that reach the module run, nearest first, until one fails; those that need
PyTorch or other optional packages come last, and only where these are there. Tests that start
whytrain in another process see no fault, and tests on the command line are left out.

Which faults are drawn depends on the seed and on each line alone, not on the rest of its module.
Those that change nothing anybody can see stand in `mutants.toml`, with the reason; they count
neither as caught nor as missed. Results are kept in `.mutants/`, and a second call goes on there.
"""

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from mutations import Mutation, mutations
from reach import tests_of

ROOT = Path(__file__).parents[1]
SOURCE, KEPT = ROOT / "src" / "whytrain", ROOT / ".mutants"
STUDIES = ("liu2019", "yin2019", "neyshabur2019", "li2020", "zou2021", "sarussi2021")
PACKAGES = {
    **{name: (f"{name}/*.py",) for name in ("gaussian", "landscapes", "dynamics", "measures")},
    "lab": ("lab/statistics.py", "lab/verdicts.py"),
    **{f"studies/{name}": (f"studies/{name}/*.py",) for name in STUDIES},
}
LEFT_OUT = ("__init__", "figures", "requests")  # ends of names of modules
WANTED = 0.95  # caught, in each package
OPTIONS = (
    "-x", "-q", "-oaddopts=", "-mnot slow", "-pno:xdist", "-pno:cacheprovider", "--assert=plain",
    "--import-mode=importlib", "--doctest-modules", "--hypothesis-seed=0",
)  # fmt: skip
# Of a module alone only its examples: imported under its own name, or its classes were there twice.
EXAMPLES = ("--import-mode=prepend", "-opython_functions=none")
HEAVY = (
    "beartype", "diffrax", "equinox", "hypothesis", "jax", "matplotlib.pyplot", "numba", "optax",
    "pandas", "pytest", "scipy.integrate", "scipy.optimize", "scipy.stats", "sklearn.linear_model",
    "xarray", "zarr",
)  # fmt: skip


def main() -> int:
    """Draw, run, print; the exit status says whether enough were caught in each package."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--package", choices=PACKAGES, action="append", help="only this one")
    words.add_argument("--count", type=int, default=200, help="in all packages (%(default)s)")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--only", help="all faults of a line, afresh: gaussian/relu.py:31")
    words.add_argument("--list", action="store_true", help="print what is drawn, run nothing")
    words.add_argument("--workers", type=int, default=2)
    words.add_argument("--limit", type=float, default=300, help="seconds a test may take")
    options = words.parse_args()
    packages = options.package or list(PACKAGES)
    if options.only:
        module, line = options.only.split(":")
        found = [one for one in faults_of(module) if one.line == int(line)]
        packages = [str(Path(module).parent)]
    else:
        count = -(-options.count // len(packages))
        found = [one for name in packages for one in drawn(name, count, options.seed)]
    reasons = equivalents()
    results = [Result(one, "equivalent", reasons[key(one)]) for one in found if key(one) in reasons]
    asked = [one for one in found if key(one) not in reasons]
    if options.list:
        print(*asked, sep="\n")
        return 0
    for module in HEAVY:
        importlib.import_module(module)
    results += judged(asked, Memory(fresh=bool(options.only)), options.workers, options.limit)
    return summary(packages, results)


def faults_of(module: str) -> list[Mutation]:
    """All faults of a module."""
    return mutations(module, (SOURCE / module).read_text())


def drawn(package: str, count: int, seed: int) -> list[Mutation]:
    """So many faults of a package, in an order that the seed gives."""

    def rank(fault: Mutation) -> bytes:
        return hashlib.sha256(f"{seed}\n{key(fault)}".encode()).digest()

    paths = sorted(path for pattern in PACKAGES[package] for path in SOURCE.glob(pattern))
    names = [str(p.relative_to(SOURCE)) for p in paths if not p.stem.endswith(LEFT_OUT)]
    return sorted((one for name in names for one in faults_of(name)), key=rank)[:count]


def key(fault: Mutation) -> tuple[str, str, str]:
    """What stays the same when other lines change."""
    return fault.module, fault.before.strip(), fault.after.strip()


def equivalents() -> dict[tuple[str, str, str], str]:
    """The reason why a fault is none."""
    listed = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text()).get("equivalent", [])
    return {(one["module"], one["line"], one["becomes"]): one["reason"] for one in listed}


@dataclass(frozen=True)
class Result:
    """What became of a fault: the test that caught it, or the reason why it counts as none."""

    fault: Mutation
    word: str  # caught, timeout, SURVIVED, equivalent
    witness: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        by = f" by {self.witness}" if self.witness else ""
        return f"{self.fault}\n    {self.word}{by} in {self.seconds:.0f} s"


class Memory:
    """Results of earlier calls.

    What was caught stays so while its module is the same, the rest while no code at all changes.
    """

    def __init__(self, fresh: bool) -> None:
        KEPT.mkdir(exist_ok=True)
        self.path = KEPT / "results.jsonl"
        self.code = _digest(*sorted(p for d in ("src", "tests") for p in (ROOT / d).rglob("*.py")))
        lines = self.path.read_text().splitlines() if self.path.exists() and not fresh else []
        self.kept = {tuple(one["of"]): one for one in map(json.loads, lines)}

    def find(self, *of: str) -> dict | None:
        """What is known, or None."""
        found = self.kept.get(of)
        return found if found and found["code"] in (self.code, self._module(of[0])) else None

    def keep(self, *of: str, word: str, **more: object) -> None:
        """Remember what came out."""
        code = self._module(of[0]) if word == "caught" else self.code
        found = {"of": of, "code": code, "word": word, **more}
        self.kept[of] = found
        with self.path.open("a") as file:
            print(json.dumps(found), file=file)

    @staticmethod
    def _module(name: str) -> str:
        path = SOURCE / name
        return _digest(path) if path.is_file() else ""


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def judged(faults: list[Mutation], memory: Memory, workers: int, limit: float) -> list[Result]:
    """What becomes of each fault, printed as it is known."""
    results = []
    for fault in faults:
        if known := memory.find(*key(fault)):
            results.append(Result(fault, known["word"], known["witness"], known["seconds"]))
    known = {result.fault for result in results}
    for result in results:
        print(result)
    todo = [one for one in faults if one not in known]
    jobs = {one: tests_of(one.module) for one in todo}
    for fault, word, witness, seconds in run(jobs, workers, limit):
        if word == "not run":
            raise SystemExit(f"{fault}\n{witness}")
        result = Result(fault, word, witness, seconds)
        print(f"{len(results) + 1}/{len(faults)}  {result}", flush=True)
        results.append(result)
        memory.keep(*key(fault), word=word, witness=witness, seconds=round(seconds, 1))
    check(sorted({r.witness for r in results if r.word == "caught"}), memory, workers, limit)
    return results


def check(witnesses: list[str], memory: Memory, workers: int, limit: float) -> None:
    """A test that fails also without a fault has caught nothing."""
    jobs: dict[Job, tuple[str, ...]] = {}
    for name in witnesses:
        if not memory.find(name):
            path = name.partition("::")[0]
            jobs[path] = (*jobs.get(path, ()), name)
    for path, word, witness, _ in run(jobs, workers, limit):
        if word != "SURVIVED":
            raise SystemExit(f"without any fault, in {path}: {word}: {witness}")
        for name in jobs[path]:
            memory.keep(name, word="sound")


Job = Mutation | str  # a fault and the files of tests, or a file and the names of its tests
Outcome = tuple[Job, str, str, float]


def run(jobs: dict[Job, tuple[str, ...]], workers: int, limit: float) -> Iterator[Outcome]:
    """Run the tests of each job in a child of its own: `(job, word, witness, seconds)`."""
    waiting, free, running = list(jobs.items()), list(range(workers)), {}
    try:
        while waiting or running:
            while waiting and free:
                child = Child(*waiting.pop(0), KEPT / f"cache-{free[-1]}", free.pop())
                running[child.pipe] = child
            wait(list(running), timeout=1)
            for child in [child for child in running.values() if child.listen(limit)]:
                del running[child.pipe]
                free.append(child.slot)
                yield child.job, child.word, child.test, time.monotonic() - child.started
    finally:
        for child in running.values():
            child.end()


class Child:
    """A process that runs the tests of one job; the parent's side."""

    def __init__(self, job: Job, tests: tuple[str, ...], cache: Path, slot: int) -> None:
        self.job, self.cache, self.slot = job, cache, slot
        self.word, self.test = "", ""
        self.started = self.heard = time.monotonic()
        self.pipe, end = Pipe(duplex=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads; no computation has started any here
            self.pid = os.fork()
        if not self.pid:
            os.setsid()  # so that what it starts dies with it
            try:
                run_tests(job, tests, cache, end)
            except BaseException as error:
                end.send(("not run", f"{type(error).__name__}: {error}"))
            finally:
                os._exit(0)
        end.close()

    def listen(self, limit: float) -> bool:
        """Read what it says; whether it is done, or was silent for too long."""
        with contextlib.suppress(EOFError):
            while self.pipe.poll():
                self.word, self.test = self.pipe.recv()
                self.heard = time.monotonic()
            if time.monotonic() - self.heard > limit:
                self.word = "timeout"
                # What it was writing there may be cut.
                shutil.rmtree(self.cache, ignore_errors=True)
            if self.word in ("", "at"):
                return False
        self.word = "caught" if self.word in ("", "at") else self.word  # it died
        self.end()
        return True

    def end(self) -> None:
        """Kill it, and all that it started."""
        os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Witness:
    """Tells the parent which test runs, and which one failed first."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.seen = pipe, False

    def pytest_runtest_logstart(self, nodeid):
        self.pipe.send(("at", nodeid))

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.seen:
            self.seen = True
            self.pipe.send(("caught", report.nodeid))

    pytest_collectreport = pytest_runtest_logreport


class Only:
    """Of the tests of a file those with these names, which pytest cannot always be asked for."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.names]


def run_tests(job: Job, tests: tuple[str, ...], cache: Path, pipe: Connection) -> None:
    """In the child: run the tests, a file after the other, with the fault planted."""
    import jax
    import pytest
    from jaxtyping import install_import_hook

    os.chdir(ROOT)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(cache / "hypothesis")
    jax.config.update("jax_compilation_cache_dir", str(cache / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]  # tests, too: their workers import them by name
    if isinstance(job, Mutation):
        plant(job)
    install_import_hook(["whytrain"], "typechecker.check")
    files, only = (tests, []) if isinstance(job, Mutation) else ((job,), [Only(tests)])
    needy = [file for file in files if "optional" in Path(file).read_text()]
    for hidden, file in [*(((), one) for one in files), *((("--optional",), one) for one in needy)]:
        witness = Witness(pipe)
        examples = EXAMPLES if file.startswith("src/") else ()
        status = pytest.main(
            [*OPTIONS, *examples, *hidden, *narrowed(job, file), file], plugins=[witness, *only]
        )
        if witness.seen:
            return
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            pipe.send(("not run", f"{file} ends with {status!r}"))  # the fault is not to blame
            return
    pipe.send(("SURVIVED", ""))


def narrowed(job: Job, file: str) -> tuple[str, ...]:
    """Of tests of all studies, each under its name, those of the study with the fault."""
    of_all = isinstance(job, Mutation) and Path(file).parent == Path("tests/studies")
    return ("-k", Path(job.module).parts[1]) if of_all else ()


def plant(fault: Mutation) -> None:
    """Whoever imports the module gets the changed source, compiled afresh."""
    path = SOURCE / fault.module
    source = fault.applied(path.read_text()).encode()
    plain = SourceFileLoader.get_code

    def get_code(loader, name):
        if loader.path == str(path):
            return loader.source_to_code(source, loader.path)
        return plain(loader, name)

    SourceFileLoader.get_code = get_code


def summary(packages: list[str], results: list[Result]) -> int:
    """Print what survived, and the share that was caught in each package."""
    missed = [result for result in results if result.word == "SURVIVED"]
    print("", *(f"SURVIVED {result.fault}" for result in missed), sep="\n")
    print(f"\n{'package':24}{'faults':>8}{'none':>8}{'caught':>8}{'missed':>8}{'rate':>8}")
    enough = True
    for name in packages:
        words = [r.word for r in results if r.fault.module.startswith(f"{name}/")]
        none, missed = words.count("equivalent"), words.count("SURVIVED")
        caught = len(words) - none - missed
        rate = caught / max(caught + missed, 1)
        enough &= rate >= WANTED
        print(f"{name:24}{len(words):8}{none:8}{caught:8}{missed:8}{rate:8.0%}")
    seconds = [result.seconds for result in results if result.word != "equivalent"]
    print(f"{sum(seconds) / max(len(seconds), 1):.0f} seconds a fault")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
