"""What checks the annotations of whytrain while its tests run.

As type checkers do (PEP 484), it takes an `int` where a `float` is asked for.
"""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
