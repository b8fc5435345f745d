"""Each claim where it is true, with each of its faults, and where it is false."""

import numpy as np
import xarray as xr

from made_up import gate
from redrawn import check_figure
from whytrain.lab import Cell, Cells, altered
from whytrain.studies.zou2021 import convex, filters, separation, setup, stages, study, sweeps


def trained(settings, runs, rng):
    """Numbers over time as they were once found: Adam fails where nothing keeps it from it."""
    times = np.array([0, 1000, 4000, settings.steps])
    lost = settings.weight_decay > 0.01 and settings.optimizer != "adamw"
    mended = settings.feature_noise < 0.1 or settings.batch_size or settings.weight_decay > 1e-4
    fails = settings.optimizer == "adamw" and not settings.batch_size
    fails |= settings.optimizer == "adam" and not mended
    law = settings.learning_rate * 0.75
    ends = {
        "loss": 0.693 if lost else 1e-3, "train_error": 0.5 * lost, "gradient_norm": 1e-4,
        "slope_sum": 0.01, "weight_norm": 5.0, "test_error": 0.88 if fails else 0.001,
        "blank_error": 1.0 * fails, "feature_least": -0.2 if fails else 2.0,
        "feature_most": -0.15 if fails else 2.1, "memory_least": 1.0 if fails else 0.01,
        "memory_most": 1.5 if fails else 0.03,
    }  # fmt: skip
    data = {}
    for name, end in ends.items():
        noise = 1 + 0.01 * rng.standard_normal((runs, 1))
        fixed = end in (0, 1) or (lost and name == "loss")
        path = np.full((runs, 4), end) * (1 if fixed else noise)
        data[name] = (("run", "time"), path)
    early = 1 / (1 / 0.012 - law * times[:3])
    data["feature_least"][1][:, :3] = early * (1 + 0.002 * rng.standard_normal((runs, 1)))
    data["feature_most"][1][:, 1] = 0.5
    data["feature_most"][1][:, 0] = 0.02
    return xr.Dataset(data, {"time": times})


def first_steps(settings, runs, rng):
    turn = rng.integers(0, 300, (runs, 8))
    growth = {"sign": 1.0, "adam": 1.7}[settings.optimizer]
    return xr.Dataset({
        "predicted": (("run", "neuron"), turn),
        "observed": (("run", "neuron"), turn + rng.integers(-4, 5, turn.shape)),
        "short": (("run", "neuron"), rng.integers(0, 5, turn.shape).astype(float)),
        "growth": ("run", growth + 0.05 * rng.standard_normal(runs)),
    })  # fmt: skip


def solved(settings, runs, rng):
    apart = settings.weight_decay == 0
    return {
        "distance": np.full(runs, 2.0 if apart else 1e-6),
        "cosine": 0.45 + 0.01 * rng.standard_normal(runs) if apart else np.ones(runs),
        "train_error_gd": np.full(runs, 0.1), "train_error_adam": np.full(runs, 0.1),
        "test_error_gd": np.full(runs, 0.2), "test_error_adam": np.full(runs, 0.2 + 0.4 * apart),
    }  # fmt: skip


def of_images(settings, runs, rng):
    numbers = {
        "roughness": (0.98, 0.94), "roughness_before": (1.0, 1.0), "roughness_change": (0.3, 0.3),
        "train_error": (0.01, 0.01), "test_error": (0.062, 0.06),
    }  # fmt: skip
    found = {
        name: (("optimizer", "run"), np.array(x)[:, None] + 0.003 * rng.standard_normal((2, runs)))
        for name, x in numbers.items()
    }
    drawn = ("optimizer", "run", "filter", "row", "column"), rng.standard_normal((2, runs, 6, 5, 5))
    return xr.Dataset(found | {"filters": drawn}, {"optimizer": ["adam", "sgd"]})


KINDS = {"image-filters": of_images, "separation": trained, "stages": first_steps, "convex": solved}


def other(optimizer):
    """The runs of another optimizer stand for this one's."""
    return lambda cells: cells.change(
        lambda cell: Cell(
            cell.settings,
            trained(cell.settings.but(optimizer=optimizer), cell.runs, np.random.default_rng(1)),
        )
    )


test_separation = gate(
    separation.TOPIC,
    KINDS,
    {"B-T1": [other("gd")], "B-T2": [altered("gradient_norm", lambda g: g + 1)],
     "B-L6": [other("gd"), other("adam")]},
)  # fmt: skip
test_stages = gate(
    stages.TOPIC,
    KINDS,
    {
        "B-L1": [altered("growth", lambda g: g / 2)],
        "B-L2": [lambda cells: cells.change(stages._faster)],
        "B-L3": [altered("memory_most", lambda m: 10 * m)],
        "B-L4": [altered("short", lambda steps: 10 * steps)],
        "B-L5": [altered("feature_most", lambda f: -f)],
    },
)
test_convex = gate(convex.TOPIC, KINDS, {"B-T3": [altered("distance", lambda x: x + 0.01)]})
test_sweeps = gate(
    sweeps.TOPIC,
    KINDS,
    {
        "B-C2": [altered("test_error", lambda e: 0 * e + 0.2)],
        "B-C1": [altered("test_error", lambda e: e / 2)],
        "B-C3": [altered("test_error", lambda e: 1 - e), altered("loss", lambda x: x / 2)],
    },
)


test_filters = gate(
    filters.TOPIC,
    KINDS,
    {"B-E2": [lambda cells: cells.change(
        lambda cell: cell.assign(roughness=1.9 - cell.data.roughness.values))]},
)  # fmt: skip


def test_every_figure_is_drawn():
    for figure in study.figures:
        cells = [
            Cell(r.settings, KINDS[r.experiment](r.settings, r.runs, np.random.default_rng(0)))
            for r in figure.requests("quick")
        ]
        check_figure(figure, Cells(cells))


def test_small_settings_are_looked_at_and_run():
    data = {"samples": 4, "dimension": 20, "sparsity": 5, "steps": 100}
    small = {"image-filters": {"examples": 100, "tested": 50, "epochs": 1}}
    runs = setup.lab.Runs(0, 0, 0, 2)
    for experiment in study.experiments:
        found = experiment.compute(experiment.settings(**small.get(experiment.name, data)), runs)
        assert found.sizes["run"] == 2
        assert all(np.isfinite(values).all() for values in found.data_vars.values())
