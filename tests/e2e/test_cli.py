"""The command line as a user meets it: statuses, streams, and one line a mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import whytrain
from whytrain.cli import main

TESTS = Path(__file__).parents[1]
TOY = str(TESTS / "toy.py")
WALK = f"{TOY}/walk"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys):
    def run(*words):
        here = ["--workers", "1"] if words[:1] == ("reproduce",) else []  # others are slow to start
        status = main([*(str(word) for word in words), *here])
        return status, *capsys.readouterr()

    return run


def call_outside(*words):
    command = [sys.executable, "-m", "whytrain", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def result_of(document):
    return {key: document[key] for key in ("settings", "seed", "runs", "results")}


def test_help_loads_nothing_heavy():
    code = "import sys; from whytrain.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "reproduce" in done.stdout
    assert not {"jax", "numpy", "numba", "xarray", "matplotlib"} & set(done.stdout.split())


def test_the_version_is_told(call):
    assert call("--version") == (0, f"whytrain {whytrain.__version__}\n", "")


def test_no_words_show_the_help(call):
    status, out, _ = call()
    assert status == 0
    assert "Usage: whytrain" in out


@pytest.mark.parametrize("words", [(), ("measure",)])
def test_what_a_command_does_is_told_whole_in_80_columns(words, call):
    _, out, _ = call(*words, "--help")
    _, commands = out.split("Commands:\n")
    assert all(line.endswith((".", "?")) and "..." not in line for line in commands.splitlines())
    assert max(map(len, out.splitlines())) <= 80


def test_run_prints_one_json_document(call):
    status, out, err = call("run", WALK, "--set", "steps=9", "--runs", 30, "--seed", 2, "--json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document.keys() >= {"seconds", "results"}
    assert document["study"] == "toy"
    assert document["experiment"] == "walk"
    assert document["settings"]["steps"] == 9
    assert (document["seed"], document["runs"]) == (2, 30)
    assert document["version"] == whytrain.__version__
    assert document["results"]["u"] is None


def test_run_shows_people_a_table(call):
    status, out, _ = call("run", WALK)
    assert status == 0
    assert "mean.estimate" in out
    assert "250 runs, seed 0" in out


def test_run_stores_nothing_unless_told(call, tmp_path):
    call("run", WALK)
    assert list(tmp_path.iterdir()) == []


def test_run_a_second_time_computes_nothing(call, tmp_path):
    first = call("run", WALK, "--out", "here", "--json")
    again = call("run", WALK, "--out", "here", "--json")
    assert again[2] == "whytrain: nothing computed: 3 pieces found in here\n"
    assert result_of(json.loads(again[1])) == result_of(json.loads(first[1]))


def test_outcomes_stand_in_one_order_whether_kept_or_not(call):
    words = ("run", "liu2019/success-rate", "--runs", 20, "--set", "steps=9", "--json")
    told = [call(*words, *out)[1] for out in ((), ("--out", "here"), ("--out", "here"))]
    orders = {tuple(json.loads(text)["results"]["outcomes"]) for text in told}
    assert orders == {("undecided", "global", "spurious", "saddle", "diverged")}


@pytest.mark.parametrize("words", ["list", "--version", "list liu2019", "nonsense 2>&1"])
def test_a_reader_that_has_gone_is_no_error(words):
    command = f"({sys.executable} -m whytrain {words}; echo $? >&3) 3>status | :"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (Path("status").read_text(), done.stderr) == ("141\n", "")


def test_reproduce_prints_one_json_document_and_writes_a_report(call):
    status, out, err = call("reproduce", TOY, "--json")
    document = json.loads(out)
    assert (status, err) == (0, "")
    assert [claim["id"] for claim in document["claims"]] == ["up", "down"]
    assert [claim["verdict"] for claim in document["claims"]] == ["supported", "contradicted"]
    assert document["report"] == str(Path("whytrain-results", "toy-quick", "report.html"))
    assert Path(document["report"]).is_file()


def test_reproduce_shows_people_a_table_that_fits(call):
    status, out, _ = call("reproduce", TOY, "--preset", "paper", "--out", "here")
    assert status == 0
    assert "✓ supported" in out
    assert "✗ contradicted" in out
    assert f"report: {Path('here', 'report.html')}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_planted_faults_are_tried_and_told(call):
    status, out, _ = call("reproduce", TOY, "--check", "--out", "here")
    assert status == 0
    assert "2 of 2 planted faults turned the verdict" in out
    assert max(map(len, out.splitlines())) <= 80
    status, out, _ = call("reproduce", TOY, "--check", "--out", "here", "--json")
    assert [f["turned"] for c in json.loads(out)["claims"] for f in c["faults"]] == [True, True]


def test_a_fault_that_turns_nothing_is_status_1(call):
    status, out, _ = call("reproduce", TESTS / "surprising.py", "--check", "--out", "here")
    assert status == 1
    assert "no" in out


def test_a_second_reproduction_computes_nothing(call):
    call("reproduce", TOY, "--out", "here")
    status, _, err = call("reproduce", TOY, "--out", "here")
    assert (status, err) == (0, "whytrain: nothing computed: 6 pieces found in here\n")


def test_an_unexpected_verdict_is_status_1(call):
    status, out, err = call("reproduce", TESTS / "surprising.py", "--out", "here")
    assert status == 1
    assert "the check failed: ZeroDivisionError" in " ".join(out.split())
    assert "broken on purpose" in err
    assert "Traceback" not in err


def test_a_report_can_be_drawn_again(call):
    call("reproduce", TOY, "--out", "here")
    Path("here", "report.html").unlink()
    status, out, _ = call("report", "here")
    assert status == 0
    assert "✓ supported" in out
    assert Path("here", "report.html").is_file()


def test_the_report_of_half_a_directory_says_so(call):
    call("reproduce", TOY, "--out", "here")
    min(Path("here", "pieces").glob("*.json")).unlink()
    status, out, _ = call("report", "here")
    assert status == 1
    assert "not run: 1 of 3 pieces are missing" in out
    assert Path("here", "report.html").is_file()


def test_a_damaged_piece_is_told_and_computed_again(call):
    _, before, _ = call("run", WALK, "--out", "here", "--json")
    archive = min(Path("here", "pieces").glob("*.zip"))
    archive.write_bytes(archive.read_bytes()[:100])
    status, after, err = call("run", WALK, "--out", "here", "--json")
    assert status == 0
    assert err.startswith("whytrain: piece ")
    assert "computing it again" in err
    assert err.count("\n") == 1
    assert result_of(json.loads(after)) == result_of(json.loads(before))


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(call):
    status, _, err = call("run", WALK, "--set", "drift=1", "--runs", 250)
    assert (status, err) == (0, "whytrain: warning: a drift of 1 is very strong\n")


def test_list_names_what_there_is(call):
    status, out, _ = call("list")
    assert status == 0
    for name in whytrain_studies():
        assert name in out
    assert len(out.splitlines()) <= 24  # fits a screen


def whytrain_studies():
    from whytrain import studies

    return studies.names()


def test_list_tells_what_was_found_in_this_directory(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [{"verdict": "supported"}, {"verdict": "contradicted"}]
    good = json.dumps({"claims": words, "seconds": 9.6})
    for name, text in (("zou2021", good), ("li2020", "[1]"), ("yin2019", "{")):
        (tmp_path / "whytrain-results" / f"{name}-quick").mkdir(parents=True)
        (tmp_path / "whytrain-results" / f"{name}-quick" / "report.json").write_text(text)
    status, out, _ = call("list")
    assert status == 0
    assert "1 ✓ 1 ✗ 10 s" in out


def test_list_shows_the_settings_of_an_experiment(call):
    status, out, _ = call("list", WALK)
    assert status == 0
    assert "drift" in out
    assert "With a drift" not in out
    status, out, err = call("list", f"{TOY}/wlak")
    assert (status, out) == (2, "")
    assert "did you mean 'walk'" in err


def test_list_shows_the_settings_of_a_study(call):
    status, out, _ = call("list", TOY)
    assert status == 0
    for word in ("walk", "drift", "1/step", "With a drift d > 0 a walk goes up."):
        assert word in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", WALK, "--set", "step=3"], "unknown setting 'step'; did you mean 'steps'"),
        (
            ["run", WALK, "--set", "drift=2"],
            "'drift' must be a finite number >= -1 and <= 1, got 2",
        ),
        (["run", WALK, "--set", "steps"], "a setting is written NAME=VALUE, got 'steps'"),
        (["run", WALK, "--runs", "0"], "number of runs must be an integer from 1"),
        (["run", WALK, "--runs", "many"], "'--runs': it must be an integer, got 'many'"),
        (["run", WALK, "--seed", "-1"], "the seed must be an integer from 0"),
        (["run", WALK, "--workers", "0"], "workers must be an integer >= 1"),
        (["run", WALK, "--scheduler", "nowhere"], "scheduler"),
        (["run", f"{TOY}/wlak"], "unknown experiment of toy: 'wlak'; did you mean 'walk'"),
        (["run", "liu2091/success-rate"], "unknown study 'liu2091'; did you mean 'liu2019'"),
        (["run", TOY], "give STUDY/EXPERIMENT"),
        (["run", "toy"], "give STUDY/EXPERIMENT"),
        (["run"], "STUDY/EXPERIMENT"),
        (["run", WALK, "--sed", "1"], "--sed"),
        (["rnu", WALK], "rnu"),
        (
            ["reproduce", TOY, "--preset", "quik"],
            "unknown preset of toy: 'quik'; did you mean 'quick'",
        ),
        (["reproduce", TOY, "--seed", str(2**63)], "the seed must be an integer from 0"),
        (["reproduce", "none.py"], "cannot read the study"),
        (["report", "nowhere"], "nowhere is not a run directory"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(words, message, call, tmp_path):
    status, out, err = call(*words, *([] if words[0] == "report" else ["--out", "here"]))
    assert (status, out) == (2, "")
    assert err.startswith("whytrain: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_directory_is_a_mistake(call, tmp_path):
    Path("mine.txt").write_text("precious")
    status, _, err = call("reproduce", TOY, "--out", ".")
    assert status == 2
    assert "holds files that are not whytrain's" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_results_do_not_depend_on_the_number_of_workers(call):
    here = call("run", WALK, "--runs", 530, "--json", "--out", "one")
    done = call_outside("run", WALK, "--runs", 530, "--json", "--out", "two", "--workers", 2)
    assert done.returncode == 0
    # A slow machine tells how far it is, and nobody tells anything else.
    assert all(re.match(r"whytrain: \d+ of \d+ done,", line) for line in done.stderr.splitlines())
    assert result_of(json.loads(done.stdout)) == result_of(json.loads(here[1]))
    one, two = (
        {path.name: path.read_bytes() for path in Path(out, "pieces").iterdir()}
        for out in ("one", "two")
    )
    assert len(one) == 13  # blocks, and the cell
    assert one == two


def test_a_claim_is_judged_at_settings_of_one_s_own(call):
    status, out, _ = call("reproduce", TOY, "--claim", "up", "--set", "steps=9", "--json")
    document = json.loads(out)
    assert status == 0
    assert document["settings"] == {"steps": "9"}
    assert [claim["id"] for claim in document["claims"]] == ["up"]
    place = Path(document["report"]).parent
    assert place.name == "toy-quick-up-steps=9"
    assert "steps = 9" in (place / "report.html").read_text()
    status, out, _ = call("report", place)
    assert status == 0
    assert "at your settings, steps = 9" in out


def test_a_claim_that_cannot_be_judged_there_says_so(call):
    status, out, err = call("reproduce", TOY, "--claim", "up", "--set", "drift=-0.5", "--json")
    [claim] = json.loads(out)["claims"]
    assert (status, claim["verdict"]) == (1, "failed")
    assert "it cannot be judged: there are no runs to take 'end' of" in claim["note"]
    assert "Error" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "steps=9"], "say with --claim ID which claim is to be judged"),
        (["--claim", "upp"], "unknown claim of toy: 'upp'; did you mean 'up'?"),
        (["--claim", "up", "--set", "stepz=9"], "unknown setting of claim up: 'stepz'"),
        (["--claim", "up", "--set", "steps"], "a setting is written NAME=VALUE, got 'steps'"),
        (["--claim", "up", "--set", "steps=0"], "setting 'steps' must be an integer >= 1, got 0"),
    ],
)
def test_settings_that_a_claim_cannot_have_are_one_line(words, message, call):
    status, out, err = call("reproduce", TOY, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path.cwd().iterdir())


def test_every_run_directory_answers(call):
    call("run", WALK, "--runs", 30, "--out", "one")
    call("reproduce", TOY, "--out", "all")
    for place, word in (("one", "1 settings of 30 runs"), ("all", "preset quick: 2 settings")):
        status, out, _ = call("status", place)
        assert (status, word in out) == (0, True)
        assert call("query", place, "--columns", "mean,bits")[0] == 0
        assert call("verify", place, "--sample", 2)[0] == 0
        assert call("report", place)[0] == 0
        assert Path(place, "report.html").exists()


@pytest.mark.slow
def test_a_wide_network_does_not_depend_on_the_number_of_workers():
    names = ("width=2048", "data=digits", "examples=1200", "epochs=4")
    settings = [word for name in names for word in ("--set", name)]
    digests = []
    for workers in (1, 2):
        words = ["run", "neyshabur2019/width", *settings, "--runs", 2, "--json"]
        done = call_outside(*words, "--workers", workers, "--out", f"by-{workers}")
        assert done.returncode == 0, done.stderr
        digests.append(json.loads(done.stdout)["results"])
    assert digests[0] == digests[1]
    one, two = (
        {p.name: p.read_bytes() for p in Path(f"by-{w}", "pieces").glob("*.zip")} for w in (1, 2)
    )
    assert one == two
