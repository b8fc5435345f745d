"""The commands. What is heavy is imported inside them, so that `--help` is quick."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import whytrain
from whytrain._process import cores
from whytrain._signs import RESULTS
from whytrain.cli.measure_kernel import kernel
from whytrain.cli.measure_network import network
from whytrain.cli.measure_optimizers import optimizers
from whytrain.cli.status import Status
from whytrain.errors import UserError

if TYPE_CHECKING:
    from whytrain import lab

app = typer.Typer(
    name="whytrain",
    help="A laboratory for the question why training works.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

measure = typer.Typer(
    help="Measure a network, or a part of one, of your own.", rich_markup_mode=None
)
measure.command("network")(network)
measure.command("kernel")(kernel)
measure.command("optimizers")(optimizers)
app.add_typer(measure, name="measure")


def _integer(text: str | int) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"it must be an integer, got {text!r}") from None


def _studies(incomplete: str) -> list[str]:
    """The built-in studies that begin so, for the shell."""
    from whytrain.studies.catalog import CATALOG

    return [name for name in CATALOG if name.startswith(incomplete)]


def _targets(incomplete: str) -> list[str]:
    """The experiments that begin so, as `STUDY/EXPERIMENT`."""
    from whytrain.studies.catalog import CATALOG

    known = (f"{name}/{each}" for name, entry in CATALOG.items() for each in entry.experiments)
    return [target for target in known if target.startswith(incomplete)]


def _studies_and_targets(incomplete: str) -> list[str]:
    return _studies(incomplete) + (_targets(incomplete) if "/" in incomplete else [])


Study = Annotated[
    str,
    typer.Argument(help="Built-in study, or path of a .py file.", autocompletion=_studies),
]
Seed = Annotated[
    int, typer.Option(parser=_integer, metavar="N", help="Seed of every random number.")
]
Workers = Annotated[
    int | None,
    typer.Option(parser=_integer, metavar="N", help="Processes; no result depends on it."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://HOST:PORT, or local."),
]
RunDirectory = Annotated[str, typer.Argument(metavar="DIR", help="A run directory, path or URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _print_version(wanted: bool | None) -> None:
    if wanted:
        print(f"whytrain {whytrain.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it, and go."),
    ] = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="With any command: show where an error arose.")
    ] = False,
) -> None: ...


@app.command("list")
def list_studies(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY[/EXPERIMENT]]",
            help="Show its experiments, settings and claims.",
            autocompletion=_studies_and_targets,
        ),
    ] = None,
) -> None:
    """List the studies, or what a study or an experiment holds."""
    if study is None:
        from whytrain.cli import overview

        return overview.show_studies(Path(RESULTS))

    from whytrain import studies
    from whytrain.cli import tables
    from whytrain.commands import split_target

    if "/" in study and not study.endswith(".py"):
        of, name = split_target(study)
        tables.show_experiment(studies.source(of).study().experiment(name))
    else:
        tables.show_study(studies.source(study).study())


@app.command()
def reproduce(
    study: Study,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="quick (the default) or paper.")
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Run directory; whytrain-results/STUDY-PRESET if none."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Plant each claim's faults: do they turn its verdict?")
    ] = False,
    claims: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="ID", help="Only this claim; may be repeated."),
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Judge the claims at this setting."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> Status:
    """Test every claim of a study, and write the report."""
    from whytrain.cli.progress import LiveProgress

    workers = cores() if workers is None else workers
    with LiveProgress(_where(workers, scheduler)) as progress:
        from whytrain import commands
        from whytrain.cli import tables
        from whytrain.lab.settings import split_pairs

        reproduction = commands.reproduce(
            study,
            preset,
            split_pairs(pairs or []),
            claim=claims or (),
            check=check,
            seed=seed,
            out=out,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
        )
    path = reproduction.report
    assert path is not None, "it was just written"
    _tell_if_nothing_computed(reproduction.computed, reproduction.reused, path.parent)
    if as_json:
        _print_json(reproduction.document(str(path)))
    else:
        tables.show_claims(reproduction, path)
        if check:
            tables.show_faults(reproduction)
    return _status(reproduction, check)


@app.command()
def run(
    target: Annotated[
        str,
        typer.Argument(metavar="STUDY/EXPERIMENT", help="What to run.", autocompletion=_targets),
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be repeated."),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(parser=_integer, metavar="N", help="How many; by default the experiment's."),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Run directory, path or URL; makes it resumable."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Run one experiment at one setting."""
    from whytrain.cli.progress import LiveProgress

    with LiveProgress(_where(workers, scheduler)) as progress:
        from whytrain import commands
        from whytrain.cli import tables
        from whytrain.lab.settings import split_pairs

        result = commands.run(
            target,
            split_pairs(pairs or []),
            runs=runs,
            seed=seed,
            out=out,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
        )
    document = result.document()
    if out is not None:
        _tell_if_nothing_computed(**document["pieces"], out=out)
    if as_json:
        _print_json(document)
    else:
        tables.show_result(result)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What to run, on which grid.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Run directory, path or URL.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure one setting, estimate all, write nothing.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try settings again that failed before.")
    ] = False,
    keep_runs: Annotated[
        bool, typer.Option("--keep-runs", help="Keep every run beside the summaries.")
    ] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> Status:
    """Run one experiment on a grid of settings, or go on with it.

    What an earlier call computed is not computed again.
    """
    from whytrain.cli.progress import LiveProgress

    with LiveProgress(_where(workers, scheduler)) as progress:
        from whytrain import commands, lab, studies
        from whytrain.cli import tables
        from whytrain.lab.execution import Tally

        plan = lab.read_plan(file, studies.source)
        if dry_run:
            progress.say("measuring one setting")
            done = lab.sweep_cost(plan, out)
        else:
            done = commands.run_plan(
                plan,
                out,
                keep=keep_runs,
                retry_failed=retry_failed,
                workers=workers,
                scheduler=scheduler,
                progress=progress,
            )
    if not isinstance(done, Tally):
        _print_json(dataclasses.asdict(done)) if as_json else tables.show_cost(done)
        return Status.DONE
    _tell_if_nothing_computed(done.computed + len(done.failures), done.reused, out)
    _show_status(lab.Sweep.open(out).status(), as_json)
    return Status.DIFFERS if done.failures else Status.DONE


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE.py", help="The file; it must be new.")],
) -> None:
    """Write a study of one file, to put your question in its place."""
    from whytrain.cli.new_study import new_study

    new_study(file)
    print(f"{file} has a claim, a fault that it must refuse, and a figure; try")
    for words in (f"list {file}", f"reproduce {file} --check"):
        print(f"  whytrain {words}")


@app.command()
def status(directory: RunDirectory, as_json: Json = False) -> None:
    """Say how far the work in a run directory is, and what failed."""
    from whytrain import lab, studies

    _show_status(lab.reopen(directory, studies.source).status(), as_json)


@app.command()
def query(
    directory: RunDirectory,
    condition: Annotated[
        str | None, typer.Argument(metavar="CONDITION", help='Such as "k > 16 and warmup".')
    ] = None,
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help="Sort by this.")] = None,
    descending: Annotated[bool, typer.Option("--descending", help="The largest first.")] = False,
    columns: Annotated[str | None, typer.Option(metavar="A,B,...", help="Show these only.")] = None,
    limit: Annotated[
        int, typer.Option(parser=_integer, metavar="N", help="Show so many rows.")
    ] = 40,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all rows there, as CSV.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all rows there, as Parquet.")
    ] = None,
) -> None:
    """Show the finished settings of a run directory as a table.

    Rows may be chosen by a condition, and sorted. --limit is for the screen alone.
    """
    from whytrain import lab, studies
    from whytrain.cli import tables

    if limit < 0:
        raise UserError(f"the limit must be an integer >= 0, got {limit}")
    wanted = None if columns is None else columns.split(",")
    rows = lab.reopen(directory, studies.source).table()
    rows = lab.query(rows, condition, sort, descending, wanted)
    lab.export(rows, csv=csv, parquet=parquet)
    tables.show_rows(rows, limit)


@app.command()
def verify(
    directory: RunDirectory,
    sample: Annotated[
        int, typer.Option(parser=_integer, metavar="N", help="Pieces to compute again.")
    ] = 10,
    seed: Annotated[
        int | None, typer.Option(parser=_integer, metavar="N", help="Which ones; others each time.")
    ] = None,
    as_json: Json = False,
) -> Status:
    """Check all checksums of a run directory, and some pieces anew.

    What is computed again must be the same, bit for bit.
    """
    from whytrain import lab, studies

    if sample < 0:
        raise UserError(f"the sample must be an integer >= 0, got {sample}")
    found = lab.verify(directory, studies.source, sample=sample, seed=seed, progress=_say)
    if as_json:
        _print_json(dataclasses.asdict(found))
    else:
        print(f"{found.pieces} pieces, {len(found.damaged)} damaged")
        print(f"{found.recomputed} computed again, {len(found.different)} differ")
        for word, keys in (("damaged", found.damaged), ("differs", found.different)):
            for key in keys:
                print(f"{word}: {key}")
    return Status.DIFFERS if found.damaged or found.different else Status.DONE


@app.command("report")
def draw_report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A run directory, or one that holds several.")
    ],
) -> Status:
    """Draw the report of a run directory again.

    Of a directory that holds several: a page that leads to their reports.
    """
    from whytrain import lab, report, studies
    from whytrain.cli import tables

    if report.has_reports(directory):
        print(f"page: {report.write_papers(directory)}")
        return Status.DONE
    found = lab.reopen(directory, studies.source)
    path = report.write(found, directory)
    if isinstance(found, lab.Sweep):
        print(f"report: {path}")
        return Status.DONE
    tables.show_claims(found, path)
    return _status(found)


@measure.command("ste")
def measure_ste(
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="A registered estimator, such as relu.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="FILE:FUNCTION", help="Your own surrogate derivative."),
    ] = None,
    kinks: Annotated[
        list[float] | None,
        typer.Option("--kink", metavar="X", help="Where it is not smooth; may be repeated."),
    ] = None,
    m: Annotated[
        int, typer.Option(parser=_integer, metavar="N", help="Hidden units of the network.")
    ] = 10,
    alignment: Annotated[float, typer.Option(help="The teacher's u, between 0 and 0.5.")] = 0.1,
    length: Annotated[float, typer.Option(help="Length of the filter.")] = 1.0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the one-page picture there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a straight-through estimator: does it go downhill?

    And where can it rest?
    """
    from whytrain import measures
    from whytrain.cli import tables

    if (name is None) == (python is None):
        raise UserError("give one of --name NAME and --python FILE:FUNCTION")
    if python is not None:
        estimator = measures.load_estimator(python, tuple(kinks or ()))
    else:
        estimator = measures.find_estimator(str(name))
    found = measures.measure_ste(estimator, m, alignment, length)
    document = found.document()
    if out is not None:
        from whytrain.report import write_ste_page

        document["picture"] = str(write_ste_page(found, estimator, out))
    if as_json:
        from whytrain.lab import jsonable

        _print_json(jsonable(document))
    else:
        tables.show_ste(found, document.get("picture"))


def _status(reproduction: "lab.Reproduction", check: bool = False) -> Status:
    good = reproduction.as_expected and (reproduction.all_turned or not check)
    return Status.DONE if good else Status.DIFFERS


def _tell_if_nothing_computed(computed: int, reused: int, out: str | Path) -> None:
    if not computed:
        _say(f"nothing computed: {reused} pieces found in {out}")


def _show_status(found: dict[str, Any], as_json: bool) -> None:
    from whytrain.cli import tables

    _print_json(found) if as_json else tables.show_status(found)


def _where(workers: int | None, scheduler: str | None) -> str:
    """Say who computes."""
    if scheduler is not None:
        return f"the cluster at {scheduler}"
    return f"{workers} processes" if workers and workers > 1 else ""


def _say(line: str) -> None:
    print(f"whytrain: {line}", file=sys.stderr, flush=True)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))
