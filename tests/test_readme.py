"""What the README and the pages of docs/ print is what happens."""

import ast
import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

import toy
import whytrain
from whytrain import lab, studies
from whytrain.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def without_docstring(source):
    tree = ast.parse(source)
    is_docstring = isinstance(tree.body[0], ast.Expr)
    return ast.dump(ast.Module(tree.body[is_docstring:], []))


def test_the_example_gives_a_phase_diagram(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [example] = blocks(README, "python")
    names = {}
    exec(example, names)
    assert (tmp_path / "phase-diagram.png").stat().st_size > 10_000
    rate = names["diagram"].success_rate
    assert rate.dims == ("tilt", "momentum")
    assert rate.sel(momentum=0, tilt=slice(0, 0.38)).max() < 0.05  # nobody crosses a ridge unpushed
    assert_array_equal(rate.sel(tilt=slice(0.39, None)), 1)  # where there is no ridge, everybody
    assert rate.isel(momentum=-1).sel(tilt=0.25) > 0.5


def test_the_example_is_short_and_the_same_as_the_file():
    [example] = blocks(README, "python")
    assert len([line for line in example.splitlines() if line.strip()]) < 25
    script = (ROOT / "examples" / "own_landscape.py").read_text()
    assert without_docstring(example) == without_docstring(script)


def test_the_theorists_examples_run(capsys):
    names = {}
    for block in blocks((ROOT / "docs" / "tutorial-theorist.md").read_text(), "python"):
        exec(block, names)
    outcomes, imbalance = capsys.readouterr().out.splitlines()
    assert ast.literal_eval(outcomes)["global"] >= 98
    first, last = map(float, imbalance.strip("[]").split())
    assert first == pytest.approx(0.75)
    assert last == pytest.approx(0.75, abs=0.1)  # conserved in the small-step limit


def test_the_commands_in_python_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks((ROOT / "docs" / "python.md").read_text(), "python"):
        exec(block, names)
    printed = capsys.readouterr().out
    assert "liu2019/success-rate: 200 runs, seed 0" in printed
    assert dict(names["rates"].sizes) == {"architecture": 2, "k": 2}


def test_pieces_can_be_read_as_the_page_says(tmp_path, capsys):
    source = lab.Source(studies.load, toy.__file__)
    settings = toy.Walk()
    lab.run_experiment(source, "walk", settings, runs=150, out=tmp_path)
    [reader] = blocks((ROOT / "docs" / "store.md").read_text(), "python")
    exec(reader.replace("DIR", str(tmp_path)), {})
    assert capsys.readouterr().out.count("checksum") == 3  # two blocks, and the cell


def test_the_sweep_of_the_page_is_understood():
    [text] = blocks((ROOT / "docs" / "sweeps.md").read_text(), "toml")
    plan = lab.make_plan(tomllib.loads(text), studies.source)
    assert len(plan.cells()) == 2 * 3 * 5 * 2
    assert (plan.runs, plan.seed, plan.settings) == (2000, 9, {"p": 8})


def test_every_claim_is_in_the_printed_table():
    [printed] = blocks(README, "text")
    rows = re.findall(r"^(\S+) +[✓✗?] (\S+)", printed, re.MULTILINE)
    expected = [(claim.id, claim.expected) for claim in studies.load("liu2019").claims]
    assert rows == expected


def test_the_commands_are_understood(capsys):
    commands = re.findall(r"^whytrain (.*)$", README, re.MULTILINE)
    assert len(commands) >= 2
    for words in map(str.split, commands):
        assert main([words[0], "--help"]) == 0
        experiment, pairs = words[1].partition("/")[2], words[3::2]
        if words[0] == "run":
            found = studies.load("liu2019").experiment(experiment)
            lab.parse(found.settings, [pair for pair in pairs if "=" in pair])
    capsys.readouterr()


def documented_fields(of):
    row = re.search(rf"^\| {re.escape(of)} \| (.*) \|$", README, re.MULTILINE)
    assert row
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row[1])))


def test_the_documents_have_the_fields_that_are_listed(tmp_path, capsys):
    assert main(["run", f"{toy.__file__}/walk", "--runs", "50", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert documented_fields("`run`") == set(run)
    assert main(["reproduce", toy.__file__, "--out", str(tmp_path), "--json"]) == 0
    reproduced = json.loads(capsys.readouterr().out)
    assert documented_fields("`reproduce`") == set(reproduced)
    assert documented_fields("each of `claims`") == set(reproduced["claims"][0])


def anchors(page):
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https:"):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


@pytest.mark.parametrize(
    "name",
    [
        "commands",
        "gaussian",
        "landscapes",
        "dynamics",
        "testing",
        "measures",
        "kernels",
        "portraits",
        "lab",
        "report",
        "report.figures",
    ],
)
def test_the_map_of_the_api_is_complete(name):
    page = (ROOT / "docs" / "api.md").read_text()
    section = page.split(f"## `whytrain.{name}`")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)`( \\\*)? \|", section, re.MULTILINE)
    package = importlib.import_module(f"whytrain.{name}")
    assert {name for name, _ in listed} == set(package.__all__)
    assert {name for name, star in listed if star} == {
        name for name in package.__all__ if getattr(whytrain, name, 0) is getattr(package, name)
    }


def test_the_citation_has_the_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {whytrain.__version__}\n" in citation
    assert citation.startswith("cff-version: 1.2.0\n")
