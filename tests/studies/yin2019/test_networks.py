"""The experiment `networks` and its two claims; each claim has a case in which it fails."""

import json

import jax
import numpy as np
import pytest
import xarray as xr

from redrawn import check_figure
from whytrain.cli import main
from whytrain.errors import UserError
from whytrain.lab import Cell, Cells, Runs
from whytrain.studies.yin2019.networks import (
    BITS,
    BOTH,
    CLAIMS,
    ESTIMATORS,
    FIGURES,
    RESIDUAL,
    NetworkSettings,
    compute,
    summarize,
)

ORDERING, ESCAPE = CLAIMS


def found(identity, relu, clipped, noise=0.002, left=(0.3, 0.2, 0.2), runs=5):
    """A data set with these accuracies, and these losses after leaving the minimum."""
    rng = np.random.default_rng(0)
    shape = (runs, len(BITS), len(ESTIMATORS))
    accuracy = np.array([identity, relu, clipped]) + noise * rng.standard_normal(shape)
    course = np.array(left) + noise * rng.standard_normal(shape)
    cells = ("run", "bits", "estimator")
    return xr.Dataset(
        {
            "float_accuracy": ("run", np.full(runs, 0.9)), "accuracy": (cells, accuracy),
            "loss": (cells, 1 - accuracy), "left_loss": ((*cells, "epoch"), course[..., None]),
            "left_accuracy": ((*cells, "epoch"), 1 - course[..., None]),
        },
        {"bits": list(BITS), "estimator": list(ESTIMATORS), "epoch": [1]}, {"data": "none"},
    )  # fmt: skip


LENET = found(0.85, 0.9, 0.9)


def judged(claim, *datasets):
    asked = claim.requests("quick")
    return claim.judge(Cells([Cell(r.settings, d) for r, d in zip(asked, datasets, strict=True)]))


@pytest.mark.parametrize(
    ("deep", "shallow", "word"),
    [
        (found(0.5, 0.8, 0.85), LENET, "supported"),
        (found(0.5, 0.8, 0.79), LENET, "supported"),
        (found(0.8, 0.8, 0.85), LENET, "contradicted"),  # identity is as good
        (found(0.5, 0.8, 0.7), LENET, "contradicted"),  # clipped ReLU is worse
        (found(0.5, 0.8, 0.85), found(0.8, 0.8, 0.9), "contradicted"),  # not alike on LeNet-5
        (found(0.5, 0.8, 0.85, noise=0.5), LENET, "inconclusive"),
    ],
)
def test_the_ordering_can_come_out_either_way(deep, shallow, word):
    verdict = judged(ORDERING, deep, shallow)
    assert verdict.word == word
    assert "0.9" in verdict.note


@pytest.mark.parametrize(
    ("left", "noise", "word"),
    [
        ((0.3, 0.2, 0.2), 0.01, "supported"),
        ((0.1, 0.2, 0.2), 0.01, "contradicted"),
        ((0.2, 0.2, 0.2), 0.01, "inconclusive"),
    ],
)
def test_the_escape_can_come_out_either_way(left, noise, word):
    assert judged(ESCAPE, found(0.5, 0.8, 0.8, noise, left)).word == word


@pytest.mark.parametrize(
    ("claim", "fault"), [(claim, fault) for claim in CLAIMS for fault in claim.faults]
)
def test_planted_faults_are_refused(claim, fault):
    datasets = (found(0.5, 0.8, 0.85), LENET)
    cells = Cells([
        Cell(r.settings, d) for r, d in zip(claim.requests("quick"), datasets, strict=False)
    ])  # fmt: skip
    assert claim.judge(cells).word == "supported"
    assert claim.judge(fault.plant(cells)).word == "contradicted"


def test_more_runs_are_asked_for_while_the_interval_is_long():
    noisy = judged(ORDERING, found(0.5, 0.8, 0.85, noise=0.5), LENET)
    assert ORDERING.needs_more(noisy)
    assert [r.runs for r in ORDERING.at_look(2, BOTH("quick"))] == [16, 16]


def test_a_loss_that_is_not_a_number_is_told():
    deep = found(0.5, 0.8, 0.85)
    deep.loss[1, 0, 0] = np.nan
    [request, _] = BOTH("quick")
    said = summarize(deep, request.settings)["quantized"]
    assert said["identity, 2 bits"]["train_loss"].endswith("without 1 of 5 that are not finite")
    assert isinstance(said["relu, 2 bits"]["train_loss"], float)
    low, high = (said["relu, 2 bits"]["accuracy"][end] for end in ("low", "high"))
    assert 0 <= low < deep.accuracy.sel(bits=2, estimator="relu").mean() < high <= 1


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_presets_ask_for_five_runs_or_more(preset):
    assert all(request.runs >= 5 for request in BOTH(preset))
    assert [request.settings.network for request in BOTH(preset)] == ["resnet8", "lenet5"]
    assert list(RESIDUAL(preset)) == list(BOTH(preset))[:1]


def test_digits_have_no_more_examples():
    settings = NetworkSettings(examples=5000, tested=5000)
    assert (settings.data, settings.examples, settings.tested) == ("digits", 1200, 597)


CIFAR = ("run", "yin2019/networks", "--set", "data=cifar10")


@pytest.mark.slow
def test_cifar_s_own_files_are_trained_on(tmp_path, monkeypatch, capsys):
    """Files in the original binary format; a class shows as a bright bar in its own place."""
    (tmp_path / "cifar10").mkdir()
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        labels = rng.integers(0, 10, 80).astype(np.uint8)
        pixels = rng.integers(0, 100, (80, 3, 32, 32)).astype(np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            image[:, 3 * label : 3 * label + 3] = 255
        records = np.concatenate([labels[:, None], pixels.reshape(80, -1)], axis=1)
        records.tofile(tmp_path / "cifar10" / f"{name}.bin")
    monkeypatch.setenv("WHYTRAIN_DATA", str(tmp_path))
    few = ("network=lenet5", "examples=384", "tested=80", "batch=32", "pretraining=4", "epochs=2",
           "small_epochs=0")  # fmt: skip
    sets = [word for each in few for word in ("--set", each)]
    assert main([*CIFAR, *sets, "--runs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["results"]
    assert found["data"] == "cifar10"
    assert found["float_accuracy"] > 0.8
    assert found["quantized"]["relu, 4 bits"]["accuracy"]["estimate"] > 0.5
    assert main([*CIFAR, "--set", "examples=401"]) == 2
    assert "cifar10 has 400 training examples, asked for 401\n" in capsys.readouterr().err


def test_what_to_do_without_the_files_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WHYTRAIN_DATA", str(tmp_path))
    assert main([*CIFAR]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "the files of cifar10 are not here; set WHYTRAIN_DATA to a directory whose" in told
    assert "data_batch_1.bin to data_batch_5.bin and test_batch.bin" in told


@pytest.mark.slow
@pytest.mark.parametrize("network", ["lenet5", "resnet8"])
def test_the_experiment_depends_on_nothing_but_its_keys(network):
    settings = NetworkSettings(
        network=network, data="digits", examples=128, tested=50, batch=32, pretraining=1, epochs=1,
        small_epochs=1,
    )  # fmt: skip
    whole, late = compute(settings, Runs(0, 7, 0, 2)), compute(settings, Runs(0, 7, 1, 1))
    xr.testing.assert_identical(whole.isel(run=[1]), late)
    with jax.enable_x64(False):
        xr.testing.assert_identical(compute(settings, Runs(0, 7, 1, 1)), late)
    told = summarize(whole, settings)
    assert told["data"] == "digits"
    assert set(told["quantized"]) == {f"{e}, {b} bits" for e in ESTIMATORS for b in BITS}


def test_figures_are_drawn_with_their_numbers():
    deep = found(0.5, 0.8, 0.85)
    for figure in FIGURES:
        cells = [Cell(r.settings, d) for r, d in zip(figure.requests("quick"), (deep, LENET))]  # noqa: B905
        caption = check_figure(figure, Cells(cells))
        assert "95 % intervals" in caption
        assert "ResNet-8" in caption


def test_at_one_s_own_settings_it_is_said_what_is_missing():
    asked = ORDERING.requests.set({"network": "lenet5"})("quick")
    assert [request.settings.network for request in asked] == ["lenet5"]
    with pytest.raises(UserError, match="it is about ResNet-8 too: leave 'network' as it is"):
        ORDERING.judge(Cells([Cell(asked[0].settings, LENET)]))
    [still] = RESIDUAL.set({"small_epochs": "0"})("quick")
    dataset = found(0.5, 0.8, 0.85).drop_vars(["left_loss", "left_accuracy"])
    with pytest.raises(UserError, match="at small_epochs=0; take 1 or more"):
        ESCAPE.judge(Cells([Cell(still.settings, dataset)]))
