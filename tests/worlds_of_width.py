"""Trained networks as a test makes them up: about what digits give, at five widths."""

import numpy as np

from whytrain.studies.neyshabur2019.width import WIDTHS

PLACES = [request.settings.width for request in WIDTHS("quick")]  # 8, 32, 128, 512 and 2048
UNKNOWN = float("nan")

NUMBERS = {
    "test_error": [0.06, 0.045, 0.037, 0.033, 0.03],
    "epochs": [257, 172, 152, 128, 86],
    "unit_capacity": [2.44, 0.971, 0.396, 0.138, 0.033],
    "unit_impact": [2.54, 1.07, 0.51, 0.238, 0.1],
    "angle": [75, 57, 32, 12.6, 3.2],
    "U_distance_frobenius": [7.23, 6.06, 5.03, 3.53, 1.7],
    "U_distance_1_2": [19.4, 32.6, 54.1, 75.9, 73.1],
    "U_frobenius": [7.46, 7.12, 8.87, 14.1, 26.4],
    "U_spectral": [3.49, 3.0, 2.77, 3.2, 4.2],
    "V_frobenius": [7.3, 6.5, 6.2, 5.7, 4.7],
    "V_distance_frobenius": [7.0, 6.2, 5.8, 5.2, 4.2],
    "V_spectral": [3.6, 3.2, 3.1, 2.8, 2.3],
    "row_dist_fro": [54, 39.6, 31.7, 20.8, 8.4],
    "row_init_fro": [5.4, 6.2, 8.6, 12.8, 18.7],
    "row_dist_spec": [74, 120, 180, 220, 170],
    "row_spec_dist": [77, 59, 51, 53, 56],
    "row_l1max_spec": [72, 92, 142, 226, 152],
    "row_spec_l1max": [70, 47, 46, 48, 55],
    "row_bartlett_mendelson2002": [130, 112, 140, 200, 330],
    "row_neyshabur2015": [55, 46, 57, 83, 140],
    "C_bartlett_mendelson2002": [6e8, 4e8, 7e8, 1e9, 3e9],
    "C_neyshabur2015": [1.3e7, 8.3e6, 1.2e7, 2.5e7, 6e7],
    "C_bartlett2017": [1e13, 1.4e13, 3e13, 6e13, 5.5e13],
    "C_neyshabur2018": [2e10, 3e10, 8e10, 1.6e11, 1.2e11],
    "C_neyshabur2019": [1.6e7, 8.05e6, 6.25e6, 4.27e6, 2.88e6],
    "margin": [3.2] * 5,
    "median_normalized_margin": [0.24] * 5,
}  # fmt: skip
VC = [1.1e6, 4.8e6, 2.2e7, 9.8e7, 4.4e8]  # the same in every run
EXACT = {"train_error": 0.0, "fits": 1.0, "sum_of_squares_error": 1e-15, "m": 600.0}


def trained(settings, runs, rng):
    """Networks of one width; random labels leave small margins."""
    place = PLACES.index(settings.width)
    means = {name: values[place] for name, values in NUMBERS.items()}
    if settings.labels == "random":
        means["median_normalized_margin"] = 0.017
    noise = {name: mean * (1 + 0.005 * rng.standard_normal(runs)) for name, mean in means.items()}
    exact = EXACT | {"C_vc": VC[place]}
    return noise | {name: np.full(runs, value) for name, value in exact.items()}


def narrow(name, value):
    """A number of the narrowest networks alone."""
    least = min(PLACES)

    def one(cell):
        changed = cell.assign(**{name: np.full(cell.runs, value)})
        return changed if cell.settings.width == least else cell

    return lambda cells: cells.change(one)
