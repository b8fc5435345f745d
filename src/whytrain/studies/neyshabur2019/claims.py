"""All claims; ids follow the paper's theorems and figures."""

from whytrain.studies.neyshabur2019.bound_claims import BOUND_CLAIMS
from whytrain.studies.neyshabur2019.theory_claims import THEORY_CLAIMS
from whytrain.studies.neyshabur2019.width_claims import WIDTH_CLAIMS

CLAIMS = (*THEORY_CLAIMS, *WIDTH_CLAIMS, *BOUND_CLAIMS)
