"""What two runs of each experiment give, small: numbers that change only on purpose.

`tests/small_numbers.json` holds them. Who changes what is computed on purpose raises the
experiment's version, and writes the file anew: `python tests/small_numbers.py`.
"""

import json
from pathlib import Path

import jax
import numpy as np

from whytrain import studies
from whytrain.lab import Runs, parse

FILE = Path(__file__).with_suffix(".json")
_RESIDUAL = ["width=6", "examples=3", "inputs=4", "depth=2"]
_LINEAR = ["dimension=4", "examples=12", "width=3"]
_DESCENT = ["k=4", "p=3", "steps=40", "step_size=0.05"]
_PATCHES = ["samples=6", "dimension=12", "sparsity=4", "steps=120", "test_samples=20"]

SMALL = {
    "liu2019": {
        "landscape": ["k=3", "p=2", "samples=50", "steps=20"],
        "rates": ["k=4", "steps=300", "times=7"],
        "success-rate": _DESCENT,
        "phase-prior": [*_DESCENT, "ratios=2", "angles=3"],
        "phase-alignment": [*_DESCENT, "ratios=2", "alignments=3", "alignment_high=4"],
        "trajectories": [*_DESCENT, "times=6"],
        "separatrix": _DESCENT,
        "scaling": [*_DESCENT, "times=9"],
        "sampling": ["k=4", "p=3", "steps=30", "batch=8", "horizon=20"],
    },
    "yin2019": {
        "descent": ["m=4", "steps=60"],
        "trajectories": ["m=4", "steps=60", "times=5"],
        "alignment-map": ["m=4", "angles=3", "overlaps=4"],
        "identity-fate": ["m=4", "alignments=2", "times=100", "horizon=5", "step_size=0.02"],
        "sample-size": ["m=2", "n=2", "grid=11"],
        "rates": ["m=4", "times=40"],
        "landscape": ["m=3", "n=2", "samples=50", "steps=20"],
        "critical-points": ["m=3", "tries=20", "angles=21"],
        "bounds": ["m=3", "tries=12"],
        "zero-filter": ["m=3", "angles=9"],
        "networks": ["examples=64", "tested=20", "pretraining=1", "epochs=1", "small_epochs=1"],
    },
    "neyshabur2019": {
        "tiny": [],
        "witness": ["h=4", "n=6"],
        "width": ["width=4", "examples=64", "epochs=4"],
        "residual-width": ["width=2", "examples=64", "epochs=3"],
    },
    "li2020": {
        "drift": [*_RESIDUAL, "time=1", "times=3"],
        "truncation": [*_RESIDUAL, "examples=2", "time=0.5"],
        "hierarchy": [*_RESIDUAL, "examples=2"],
        "depth": _RESIDUAL,
        "width-demand": [*_RESIDUAL, "horizon=0.2"],
        "limit": ["examples=3", "inputs=4", "depth=2"],
        "mean-kernel": ["width=5", "layers=3", "networks=20"],
    },
    "zou2021": {
        "separation": [*_PATCHES, "width=3", "times=4"],
        "stages": [*_PATCHES, "width=3"],
        "convex": _PATCHES,
        "image-filters": ["examples=64", "tested=20", "epochs=3"],
    },
    "sarussi2021": {
        "optimization": [*_LINEAR, "level=0.4", "wider=2"],
        "clustering": [*_LINEAR, "probes=200", "level=0.4"],
        "kkt": [*_LINEAR, "steps=400"],
        "agreement": [*_LINEAR, "steps=40"],
        "init-scale": [*_LINEAR, "level=0.4", "scales=2"],
        "real-pairs": ["width=3", "examples=20", "level=0.4"],
    },
}


def numbers(study, experiment):
    """Of its first two runs: see `told`."""
    found = studies.load(study).experiment(experiment)
    settings = parse(found.settings, SMALL[study][experiment])
    with jax.enable_x64(True):
        return told(found.compute(settings, Runs(0, 1, 0, 2)))


def told(dataset):
    """By variable: how much is finite, and its mean, root of the mean square, first and last."""
    return {
        str(name): _told(np.ravel(values.values).astype(float))
        for name, values in {**dataset.data_vars, **dataset.coords}.items()
        if np.asarray(values.values).dtype.kind in "fiub"
    }


def _told(values):
    finite = values[np.isfinite(values)]
    if not len(finite):
        return [0]
    told = (finite.mean(), np.sqrt(np.mean(finite**2)), finite[0], finite[-1])
    return [len(finite), *(float(f"{one:.7g}") for one in told)]


if __name__ == "__main__":
    lines = [
        f"{json.dumps(f'{study}/{name}')}: {json.dumps(numbers(study, name))}"
        for study, experiments in SMALL.items()
        for name in experiments
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
