"""The words of the type annotations that several packages share."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a static checker would refuse arithmetic on the union that `ArrayLike` is
    Numeric = Any
else:
    from jaxtyping import ArrayLike as Numeric

__all__ = ["Numeric"]
