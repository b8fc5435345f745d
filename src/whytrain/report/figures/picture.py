"""A matplotlib figure that a notebook shows below its cell, without pyplot."""

import io

from matplotlib.figure import Figure

DPI = 100


class Picture(Figure):
    """A figure with a picture of itself."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()
