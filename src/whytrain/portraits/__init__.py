"""One network, measured by all instruments that apply: its numbers, and how they are shown."""

from whytrain.portraits.differences import differences, documents
from whytrain.portraits.portrait import Portrait, portrait
from whytrain.portraits.sections import SAYS, Section, reasons, sections

__all__ = [
    "SAYS",
    "Portrait",
    "Section",
    "differences",
    "documents",
    "portrait",
    "reasons",
    "sections",
]
