"""The claims on measures and bounds, where they are true and false."""

from made_up import gate
from whytrain.lab import scaled
from whytrain.studies.neyshabur2019.bounds import TOPIC
from whytrain.studies.neyshabur2019.trends import reversed_widths, shifted
from worlds_of_width import trained

test_claims = gate(
    TOPIC,
    {"width": trained},
    {
        "N-E6": [
            shifted("row_l1max_spec", -0.5),
            shifted("row_neyshabur2015", -0.5),
            shifted("row_bartlett_mendelson2002", -0.5),
            shifted("row_dist_fro", 0.5),
            scaled("row_spec_l1max", 10.0),
        ],
        "N-E6-range": [shifted("row_l1max_spec", 0.5)],
        "N-E8": [
            reversed_widths,
            *(shifted(f"C_{name}", -2.0) for name in ("neyshabur2015", "vc")),
        ],
        "N-E8-below": [
            scaled("C_neyshabur2019", 100.0),
            scaled("C_vc", 1e-3),
            scaled("C_neyshabur2018", 1e-5),
        ],
        "N-E8-vacuous": [scaled("C_neyshabur2019", 1e-6)],
        "N-E8-range": [shifted("row_init_fro", -0.4)],
        "N-E9": [scaled("fits", 0.0)],
    },
)
