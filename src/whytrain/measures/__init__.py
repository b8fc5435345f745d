"""Numbers read off a network, or off a part of one."""

from whytrain.measures.ste import (
    Stationary,
    SteMeasure,
    find_estimator,
    load_estimator,
    measure_ste,
)

__all__ = ["Stationary", "SteMeasure", "find_estimator", "load_estimator", "measure_ste"]
