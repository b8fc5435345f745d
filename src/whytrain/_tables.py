"""Results as tables: on a terminal, in an editor, in a notebook, always the same rows."""

import html
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, Group

WIDTH = 80
LINES = 30  # of a document that is printed
MOST = 64  # numbers of a list that are told one by one

_COLORS = {"good": "green", "bad": "red"}
_STYLE = {"good": "color:#1a7f37", "bad": "color:#cf222e"}


class Word(NamedTuple):
    """A cell that is good or bad news.

    Attributes:
        text: What stands there.
        tone: `good` or `bad`.
    """

    text: str
    tone: str


@dataclass(frozen=True)
class Table:
    """Rows under a heading, with what there is to say of them.

    Attributes:
        title: The heading.
        columns: The names of the columns; one that starts with `>` is aligned to the right.
        rows: The cells of each row.
        notes: Sentences below the rows.
        about: What the heading is about, in words.
        whole: Columns after the first whose cells are never broken.

    Example:
        >>> print(Table("walk", ("result", ">value"), [("mean", "0.5")], about="2 runs"))
        walk: 2 runs
        result  value
        ─────────────
        mean      0.5
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | Word]]
    notes: tuple[str, ...] = ()
    about: str = ""
    whole: tuple[int, ...] = ()

    def print(self, console: "Console") -> None:
        """Print it.

        Args:
            console: Where to.
        """
        console.print(self._rich())

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        self.print(Console(file=text, width=WIDTH, highlight=False, color_system=None))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        right = [name.startswith(">") for name in self.columns]
        names = [name.lstrip(">") for name in self.columns]
        lines = [_row("th", names, right), *(_row("td", row, right) for row in self.rows)]
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        about = f": {html.escape(self.about)}" if self.about else ""
        return (
            f"<div><p><b>{html.escape(self.title)}</b>{about}</p>"
            f"<table>{''.join(lines)}</table>{notes}</div>"
        )

    def _rich(self) -> "Group":
        from rich.console import Group
        from rich.markup import escape

        about = f": {escape(self.about)}" if self.about else ""
        table = rich_table(*self.columns)
        for place in self.whole:
            table.columns[place].no_wrap = True
        for row in self.rows:
            table.add_row(*(_marked(cell) for cell in row))
        return Group(f"[bold]{escape(self.title)}[/]{about}", table, *map(escape, self.notes))


class Shown:
    """What shows itself as a table: `repr` fits a screen, notebooks have it in HTML."""

    def shown(self) -> Table:
        """The table; each subclass has its own."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self.shown())

    def _repr_html_(self) -> str:
        return self.shown()._repr_html_()


class Documented(Shown):
    """What shows the numbers of its document, one a row.

    A document has `notes`, sentences, and may have a `sentence` that says it all.
    """

    def document(self) -> dict[str, Any]:
        """The numbers, as values that JSON can hold; each subclass has its own."""
        raise NotImplementedError

    def shown(self) -> Table:
        """The numbers of the document."""
        said = self.document()
        notes = tuple(said.pop("notes", ()))
        about = said.pop("sentence", "")
        rows = [(name, in_words(value)) for name, value in flat(said)]
        return Table(type(self).__name__, ("number", ">value"), rows, notes, about)

    def __repr__(self) -> str:
        whole = self.shown()
        left = len(whole.rows) - LINES
        if left <= 0:
            return str(whole)
        notes = (f"and {left} more numbers; document() has all", *whole.notes)
        return str(replace(whole, rows=whole.rows[:LINES], notes=notes))


def rich_table(*columns: str) -> Any:
    """An empty table for the terminal.

    Args:
        *columns: Their names; one that starts with `>` is aligned to the right.
    """
    from rich import box
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        justify = "right" if column.startswith(">") else "left"
        table.add_column(column.lstrip(">"), justify=justify, overflow="fold")
    for first in table.columns[:1]:
        first.no_wrap = True  # names are there to be read and copied whole
    return table


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Walk nested results, naming each leaf by the way to it.

    Args:
        value: The results.
        name: The way so far.

    Example:
        >>> dict(flat({"rate": {"estimate": 0.5}, "layers": [{"norm": 2.0}]}))
        {'rate.estimate': 0.5, 'layers.0.norm': 2.0}
    """
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def in_words(value: Any) -> str:
    """A value for people: six digits, and of a long list its beginning.

    Args:
        value: The value.

    Example:
        >>> in_words(1 / 3), in_words(True), in_words(None), in_words([1, 2])
        ('0.333333', 'true', 'null', '1, 2')
    """
    if isinstance(value, list | tuple):
        more = f", … ({len(value)})" if len(value) > MOST else ""
        return ", ".join(map(in_words, value[:MOST])) + more
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _marked(cell: str | Word) -> str:
    from rich.markup import escape

    if isinstance(cell, Word):
        return f"[{_COLORS[cell.tone]}]{escape(cell.text)}[/]"
    return escape(cell)


def _row(tag: str, cells: Sequence[str | Word], right: Sequence[bool]) -> str:
    return f"<tr>{''.join(_cell(tag, *pair) for pair in zip(cells, right, strict=True))}</tr>"


def _cell(tag: str, cell: str | Word, right: bool) -> str:
    text, color = (cell.text, _STYLE[cell.tone]) if isinstance(cell, Word) else (cell, "")
    style = ";".join(filter(None, [f"text-align:{'right' if right else 'left'}", color]))
    return f'<{tag} style="{style}">{html.escape(text)}</{tag}>'
