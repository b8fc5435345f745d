import subprocess
import sys

import pytest

import whytrain
from whytrain import studies
from whytrain.studies.catalog import CATALOG, Entry

HEAVY = ("jax", "numpy", "numba", "xarray", "zarr", "scipy", "matplotlib", "diffrax", "rich")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import whytrain",
        "import whytrain.cli",
        "import whytrain._process",
        "import whytrain.kernels",
        "import whytrain.report.figures",
    ],
)
def test_nothing_heavy_is_imported(statement):
    assert not loaded_by(statement) & set(HEAVY)


def test_the_list_of_studies_loads_none():
    loaded = loaded_by("from whytrain.cli.overview import show_studies")
    assert not loaded & {"jax", "numpy", "xarray", "whytrain.lab"}


def test_the_catalog_says_what_the_studies_hold():
    held = {
        name: Entry(study.question, len(study.claims), tuple(e.name for e in study.experiments))
        for name in studies.names()
        for study in [studies.load(name)]
    }
    assert held == CATALOG


def test_what_a_run_has_no_use_for_is_not_imported():
    loaded = loaded_by(
        "from whytrain import studies; from whytrain.cli import tables; studies.load('liu2019')"
    )
    late = {"zarr", "optax", "scipy.optimize", "scipy.special", "whytrain.measures"}
    assert not loaded & late


def test_the_studies_bring_no_library_that_a_worker_has_no_use_for():
    late = {"matplotlib", "scipy.stats", "diffrax", "sklearn", "numba"}
    everyone = "from whytrain import studies; [studies.load(name) for name in studies.names()]"
    assert not loaded_by(everyone) & late


@pytest.mark.parametrize("name", whytrain.__all__)
def test_every_public_name_is_there(name):
    assert getattr(whytrain, name) is not None
    assert name in dir(whytrain)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'simulated'"):
        _ = whytrain.simulated
