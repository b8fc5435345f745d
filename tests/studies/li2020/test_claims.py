"""Each claim where it is true, with each of its faults, and where it is false."""

import numpy as np
import pytest
import xarray as xr

from made_up import gate, world
from redrawn import check_figure
from whytrain.errors import UserError
from whytrain.lab import altered
from whytrain.studies.li2020 import (
    depth,
    drift,
    hierarchy,
    limit,
    mean_kernel,
    study,
    truncation,
    width_demand,
)
from whytrain.studies.li2020.setup import grown


def near(rng, runs, value, size=0.1):
    """Numbers about a value, with a relative spread."""
    return value * np.exp(size * rng.standard_normal(runs))


def exact(settings, runs, rng):
    small = {name: near(rng, runs, 1e-7) for name in hierarchy.ORDERS}
    return small | {
        "symmetry": np.zeros(runs), "even": np.zeros(runs), "odd": np.zeros(runs),
        "asymmetry": near(rng, runs, 0.3),
    }  # fmt: skip


def drifts(settings, runs, rng):
    """A loss that falls by exp(-2.1 t / n), and eigenvalues of 1, 2, 3, …"""
    times = np.linspace(0, settings.time, settings.times)
    size = {"residual": 1.0, "connected": 3.0}[settings.network]
    spectrum = np.tile(np.arange(1.0, settings.examples + 1), (runs, len(times), 1))
    risk = np.exp(-2.1 * times / settings.examples)
    return xr.Dataset(
        {
            "drift": ("run", near(rng, runs, size / settings.width)),
            "largest": ("run", near(rng, runs, 2 * size / settings.width)),
            "over_promise": ("run", np.ones(runs)),
            "spectrum": (("run", "time", "eigenvalue"), spectrum),
            "risk": (("run", "time"), np.tile(risk, (runs, 1))),
        },
        {"time": times},
    )


def cut(settings, runs, rng):
    sizes = {"error_2": (1, 1), "error_3": (0.3, 1), "error_4": (0.3, 2), "bound": (30, 1),
             "K2": (2, 0), "K3": (1, 1), "K4": (1, 1)}  # fmt: skip
    numbers = {name: near(rng, runs, c * settings.width**-p) for name, (c, p) in sizes.items()}
    times = np.linspace(0, settings.time, 6)
    off = np.array([0.0, 0.1, 0.03, 0.01])[:, None]  # the true flow has no error
    risk = np.tile(np.exp(-times) * (1 + off * times), (runs, 1, 1))
    return xr.Dataset(
        {name: ("run", values) for name, values in numbers.items()}
        | {"risk": (("run", "order", "time"), risk)},
        {"time": times},
    )


def depths(settings, runs, rng):
    grows = {"residual": 1.0, "connected": 2.6}[settings.network]
    return {
        "third": near(rng, runs, 0.1 * grows**settings.depth), "least": near(rng, runs, 0.3),
        "diagonal": near(rng, runs, 2),
    }  # fmt: skip


def demands(settings, runs, rng):
    return {"demand": near(rng, runs, 4 * settings.examples), "least": near(rng, runs, 1)}


def limits(settings, runs, rng):
    least = near(rng, runs, 0.3)
    close = least[:, None] * np.array(limit.SMALL) ** 2
    return xr.Dataset(
        {"least": ("run", least), "near": (("run", "angle"), close)}, {"angle": list(limit.SMALL)}
    )


def means(settings, runs, rng):
    scale = settings.layers * (settings.variance / 2) ** (settings.layers - 1)
    noise = 1 + 0.02 * rng.standard_normal(runs)
    return {"diagonal": noise, "across": 0.9 * noise, "kernel": 0.7 * scale * noise}


test_hierarchy = gate(
    hierarchy.TOPIC,
    {"hierarchy": exact},
    {"A-1": [altered("K2", lambda K: 200 * K)], "A-2": [altered("odd", lambda x: x + 1e-11)]},
)
test_drift = gate(
    drift.TOPIC,
    {"drift": drifts},
    {
        "A-4": [grown("drift", 0.8), grown("largest", 0.8)],
        "A-5": [altered("over_promise", lambda x: 1.001 * x)],
        "A-4-shortcut": [
            altered("drift", lambda drift: 6 * drift, network="residual"),
            altered("drift", lambda drift: 6 * drift, network="residual", width=128),  # the widest
        ],
    },
)
test_truncation = gate(
    truncation.TOPIC,
    {"truncation": cut},
    {
        "A-3": [grown("K2", -0.5), grown("K3", 0.8), grown("K4", 0.6)],
        "A-7": [grown("error_2", 0.8), altered("error_4", lambda x: 1e6 * x)],
        "A-8": [altered("error_2", lambda x: 1000 * x)],
    },
)
test_depth = gate(
    depth.TOPIC,
    {"depth": depths},
    {"A-9": [altered("third", lambda x: x**0.3)]},
)
test_width_demand = gate(
    width_demand.TOPIC,
    {"width-demand": demands},
    {"A-6": [altered("demand", lambda x: x**4)]},
)
test_limit = gate(limit.TOPIC, {"limit": limits}, {"A-10": [altered("least", lambda x: -x)]})
test_mean_kernel = gate(
    mean_kernel.TOPIC,
    {"mean-kernel": means},
    {
        "A-11": [altered("diagonal", lambda x: x - 0.05)],
        "A-11-across": [altered("across", lambda x: x + 0.2)],
        "A-11-variance": [altered("kernel", lambda x: x**1.1)],
    },
)


def test_the_margin_of_the_mean_is_as_fine_as_the_networks_allow():
    [claim] = [claim for claim in study.claims if claim.id == "A-11"]
    found = claim.judge(world(claim, {"mean-kernel": means}))
    assert "2 %" in found.note
    few, many = claim.requests("quick"), claim.requests("paper")
    assert all(r.runs * r.settings.networks < mean_kernel.ENOUGH for r in few)
    assert all(r.runs * r.settings.networks >= mean_kernel.ENOUGH for r in many)


@pytest.mark.parametrize(
    ("id", "setting", "kinds"),
    [
        ("A-3", "width", {"truncation": cut}),
        ("A-4", "width", {"drift": drifts}),
        ("A-7", "width", {"truncation": cut}),
        ("A-6", "examples", {"width-demand": demands}),
    ],
)
def test_one_place_shows_no_power(id, setting, kinds):
    [claim] = study.narrowed([id], {setting: "8"}).claims
    with pytest.raises(UserError, match="two places or more"):
        claim.judge(world(claim, kinds))


KINDS = {"drift": drifts, "truncation": cut, "depth": depths, "mean-kernel": means}


@pytest.mark.parametrize("name", [figure.name for figure in study.figures])
def test_every_figure_is_drawn(name):
    [figure] = [figure for figure in study.figures if figure.name == name]
    claim = next(claim for claim in study.claims if name in claim.figures)
    check_figure(figure, world(claim, KINDS))
