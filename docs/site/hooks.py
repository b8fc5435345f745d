"""What the site has beside the pages of docs/: mathematics, claims, reports, signatures, code.

Nothing of it is fetched by the reader's browser: formulas become MathML with a font of their own,
and files of the repository that a page links to become pages.
"""

import html
import importlib
import inspect
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import math_core
import ziamath
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

from whytrain import studies
from whytrain.lab import Study
from whytrain.report.markdown import _inline

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "whytrain-results"
FONT = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([([])(.*?)\\[)\]]</\1>', re.DOTALL)
WORDLESS = re.compile(r"<(pre|code|math|script)\b.*?</\1>|<[^>]*>", re.DOTALL)
LANGUAGES = {".py": "python", ".sh": "sh", ".toml": "toml"}
PACKAGES = (
    "commands", "gaussian", "landscapes", "networks", "data", "dynamics", "testing", "lab",
    "measures", "kernels", "portraits", "report", "report.figures", "studies", "errors",
)  # fmt: skip


def on_files(files, config):
    """Add what is not in docs/."""
    figures = {name: _figures(studies.load(name)) for name in studies.names()}
    linked = _linked([file.src_uri for file in files if file.src_uri.endswith(".md")])
    linked |= {place.split("#")[0] for of in figures.values() for place in of.values()}
    for path in sorted(linked):
        files.append(
            _page(config, f"code/{path}{'' if path.endswith('.md') else '.md'}", _code(path))
        )
    for package in PACKAGES:
        files.append(_page(config, f"api/{package}.md", _signatures(package)))
    for report in sorted(RESULTS.glob("*-quick/report.html")):
        name = report.parent.name.removesuffix("-quick")
        if name in figures:
            files.append(File.generated(config, f"reports/{name}.html", abs_src_path=str(report)))
            for image in sorted(report.parent.glob("figures/*.svg")):
                place = f"reports/{name}/{image.name}"
                files.append(File.generated(config, place, abs_src_path=str(image)))
    files.append(File.generated(config, "site/math.ttf", abs_src_path=str(FONT)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in what is made from code, and lead links to where the site has their ends."""
    name = page.file.src_uri.removesuffix(".md")
    if name in studies.names():
        markdown += _of_study(studies.load(name))
    elif name == "gallery":
        markdown += "".join(map(_pictures, map(studies.load, studies.names())))
    elif name == "api":
        markdown = _with_links(markdown)
    return markdown if name.startswith("api/") else _relinked(markdown, page.file.src_uri)


def on_page_content(content, page, config, files):
    """Set the formulas, and see that none is left as it was written."""
    converter = math_core.LatexToMathML()

    def formula(match):
        tex = html.unescape(match[3]).replace("\\\n", "\\ ")
        if "\\tag" in tex:
            tex = rf"\begin{{equation}}{tex}\end{{equation}}"
        apart = match[2] == "["
        try:
            found = converter.convert_with_local_state(tex, displaystyle=apart)
        except math_core.LatexError as error:
            raise PluginError(f"{page.file.src_uri}: {tex}: {error}") from error
        return f'<div class="formula">{found}</div>' if apart else found

    # In tables a bar within code is written with a backslash, which Markdown leaves there.
    content = re.sub(r"<code>[^<]*</code>", lambda m: m[0].replace("\\|", "|"), content)
    content = FORMULA.sub(formula, content)
    if left := re.search(r"\$\S|\S\$|\*\*|\\[a-z(\[]", WORDLESS.sub("", content)):
        place = f"{page.file.src_uri}: {WORDLESS.sub('', content)[left.start() :][:60]!r}"
        raise PluginError(f"{place} is shown as written; has $$ an empty line on both sides?")
    return content


def _page(config, place: str, content: str) -> File:
    return File.generated(config, place, content=content)


def _shown_at(path: str) -> str:
    """The page that shows a file of the repository."""
    return f"code/{path}" if path.endswith(".md") else f"code/{path}.md"


def _linked(pages: list[str]) -> set[str]:
    """The files of the repository that pages lead to, and those that these lead to."""
    found, todo = set(), [f"docs/{page}" for page in pages] + ["CONTRIBUTING.md", "CHANGELOG.md"]
    found |= set(todo[-2:])
    while todo:
        place = todo.pop()
        for _, target, _ in LINK.findall((ROOT / place).read_text()):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
            if ":" not in target and not path.startswith("docs/") and path not in found:
                found.add(path)
                todo += [path] if path.endswith(".md") else []
    return found


def _relinked(markdown: str, page: str) -> str:
    """Lead a page's links to files of the repository to the pages that show them."""
    of_code = page.startswith("code/")
    origin = page.removeprefix("code/") if of_code else f"docs/{page}"

    def lead(match):
        target = match[2]
        if ":" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        inside = path.startswith("docs/")
        place = path.removeprefix("docs/") if inside else _shown_at(path)
        return match[1] + posixpath.relpath(place, posixpath.dirname(page) or ".") + match[3]

    pieces = re.split(r"(^```.*?^```$|^    .*?$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(p if i % 2 else LINK.sub(lead, p) for i, p in enumerate(pieces))


def _code(path: str) -> str:
    """A file as a page; of a folder, what is in it."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(each.name for each in file.iterdir() if each.is_file())
        return f"# {path}\n\n" + "".join(f"- `{name}`\n" for name in names)
    if path.endswith(".md"):
        return file.read_text()
    if path.endswith(".ipynb"):
        return f"# {path}\n\n" + "\n\n".join(map(_cell, json.loads(file.read_text())["cells"]))
    language = LANGUAGES.get(file.suffix, "text")
    kept_out = "search:\n  exclude: true\n"
    return (
        f"---\ntitle: {path}\n{kept_out}---\n\n# {path}\n\n````{language}\n{file.read_text()}````\n"
    )


def _cell(cell) -> str:
    """A cell of a notebook; headings are one level lower, below the file's name."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "code":
        return f"```python\n{text}\n```"
    return re.sub("^#", "##", text, flags=re.MULTILINE)


def _signatures(package: str) -> str:
    """The public names of a package, for mkdocstrings."""
    lines = [f"# `whytrain.{package}`\n"]
    lines += [f"::: {place}\n" for _, place in _names(package)]
    return "\n".join(lines)


def _names(package: str) -> Iterator[tuple[str, str]]:
    """Each public name, and where it is defined."""
    module = importlib.import_module(f"whytrain.{package}")
    public = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and name[0] != "_"
    ]  # fmt: skip
    for name in public:
        found = getattr(module, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            yield name, f"{found.__module__}.{found.__qualname__}"


def _with_links(markdown: str) -> str:
    """The table of names, each leading to its signature."""

    def of(section):
        package = section.split("`")[1].removeprefix("whytrain.")
        places = dict(_names(package))
        return re.sub(
            r"^\| `(\w+)`",
            lambda m: f"| [`{m[1]}`][{places[m[1]]}]" if m[1] in places else m[0],
            section,
            flags=re.MULTILINE,
        )

    first, *sections = re.split(r"^(?=## `whytrain)", markdown, flags=re.MULTILINE)
    return first + "".join(map(of, sections))


def _figures(study: Study) -> dict[str, str]:
    """For each figure the file and line of the function that draws it."""
    return {figure.name: _place(figure.draw) for figure in study.figures}


def _place(function) -> str:
    """The file and line of a function, within what wraps it."""
    while hasattr(function, "func"):
        function = function.func
    code = inspect.unwrap(function).__code__
    return f"{Path(code.co_filename).relative_to(ROOT)}#line-0-{code.co_firstlineno}"


def _of_study(study: Study) -> str:
    """The claims of a study, its report where it was made, and its figures."""
    rows = [
        f"| `{claim.id}` | {_plain(claim.statement)} | {_plain(claim.source)} "
        f"| {_plain('; '.join(str(part.rule) for part in claim.parts))} "
        f"| {_plain(claim.does_not_show)} |\n"
        for claim in study.claims
    ]
    head = (
        "| claim | what is stated | source | rule | what it does not show |\n" + "|---" * 5 + "|\n"
    )
    return f"\n\n## Its claims\n\n{_report(study)}\n\n{head}{''.join(rows)}\n{_pictures(study)}"


def _plain(text: str) -> str:
    """Text in which no character has a meaning; the site's Markdown knows no escaped `<`."""
    return _inline(text).replace("\\<", "&lt;")


def _report(study: Study) -> str:
    found = RESULTS / f"{study.name}-quick" / "report.json"
    command = f"`whytrain reproduce {study.name}`"
    if not found.exists():
        return f"{command} judges them, and writes the report."
    said = json.loads(found.read_text())
    counts = ", ".join(f"{n} {word}" for word, n in said["verdicts"].items() if n)
    return (
        f"[:material-file-chart: The report](reports/{study.name}.html){{ .md-button }}\n\n"
        f"{command}: {counts}."
    )


def _pictures(study: Study) -> str:
    """The figures of a study with what draws them; pictures where its report was made."""
    parts = [f"\n## Figures of {study.name}\n"]
    for figure in study.figures:
        place, _, line = _place(figure.draw).partition("#")
        code = f'<a href="code/{place}.html#{line}">code</a>'
        image = f"reports/{study.name}/{figure.name}.svg"
        there = (RESULTS / f"{study.name}-quick" / "figures" / f"{figure.name}.svg").exists()
        shown = f"![{_plain(figure.title)}]({image})\n\n" if there else ""
        parts.append(f"{shown}**`{figure.name}`** {_plain(figure.title)} · {code}\n")
    return "\n".join(parts)
