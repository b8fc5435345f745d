"""Docstrings as mkdocstrings reads them: the heading `Example:` is Google's `Examples:`."""

import re

import griffe


class Examples(griffe.Extension):
    """Renames the heading, and drops the `::` before code that is no doctest."""

    def on_object(self, *, obj, **_):
        """Change one docstring."""
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"^    ::$\n\n?", "", text, flags=re.MULTILINE)
