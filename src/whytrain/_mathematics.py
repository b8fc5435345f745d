r"""Mathematics in words: what stands between `$` is typeset wherever a text is shown.

The notation is Unicode with the few commands of TeX that Unicode lacks: `_{}`, `^{}`, `\frac{}{}`,
`\sqrt{}` and `\text{}`, as in `$\frac{1}{4π} ‖a‖² ≤ φ_0$`. Matplotlib reads the same between `$`.
Pages get MathML from it, which needs no fonts from elsewhere; terminals get plain text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from xml.etree import ElementTree

from markupsafe import Markup, escape

_FORMULA = re.compile(r"\$([^$]+)\$")
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿᵖᵀ", "₀₁₂₃₄₅₆₇₈₉₋₊ₙₚ"
_RAISED_AS, _LOWERED_AS = "0123456789-+np⊤", "0123456789-+np"
_HIGH, _LOW = (re.compile(f"[{letters}]+") for letters in (_RAISED, _LOWERED))
_FUNCTIONS = ("sin", "cos", "cot", "csc", "log", "ln", "exp", "erf", "max", "min", "sign", "mean",
              "median", "arccos", "vec")  # fmt: skip
_FUNCTION = re.compile(rf"(?<![\\A-Za-z])({'|'.join(_FUNCTIONS)})(?![A-Za-z])")
_KNOWN = {"sin", "cos", "cot", "csc", "log", "ln", "exp", "max", "min", "arccos"}
_BAR = '<mo stretchy="false" lspace="0" rspace="0">|</mo>'  # around a length, not between words
_BRACES = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
_BARRED = re.compile(r"[āēīōū]|[^\W\d_]\u0304")  # of both ways to write a mean
_NARROW = "\u202f"
_BREAKS = ("=", "≤", "≥", "<", ">", "→", "+", "−")
_LONG, _SHORT = 14, 5  # letters of a formula that is cut, and of its least part
_WIDE = 24.0  # letters that fit on a phone's line


def typeset(text: str) -> Markup:
    """Typeset a text for a page: what stands between `$` as MathML, the rest escaped.

    Args:
        text: The text.

    Returns:
        HTML.

    Example:
        >>> str(typeset("a < b: $x_0 = 1$")).split("<math")[0]
        'a &lt; b: '
    """
    parts = _FORMULA.split(text)
    return Markup("").join(
        Markup(mathml(part)) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def mathml(formula: str) -> str:
    """Return a formula as an element `<math>`, or as several between which a line may end.

    Example:
        >>> "<mi>π</mi>" in mathml("π/2")
        True
    """
    from latex2mathml.converter import convert

    found = re.sub(r"&#x(\w+);", _letter, convert(_latex(formula)))
    found = re.sub(r"<math[^>]*>", "<math>", found)
    found = re.sub(r"<(m[io])[^>]*>\|</\1>", _BAR, found)
    return _breakable(re.sub(r"<mi>([^<])</mi>", _sorted_out, found))


def _breakable(found: str) -> str:
    """Cut a formula before relations and sums: browsers end no line inside of one.

    A long one is cut outside of brackets; where a part is still wider than a phone, inside too.
    """
    [row] = ElementTree.fromstring(found)
    letters = list(row) if row.tag == "mrow" else [row]
    parts = [list(zip(letters, _depths(letters), strict=True))]
    if len(letters) >= _LONG:
        parts = _cut(parts[0], _BREAKS, 1)
    for depth in (1, 2, 3, 4):
        parts = [one for part in parts for one in _narrower(part, depth)]
    return "<wbr>".join(map(_part, parts))


_Part = list[tuple[ElementTree.Element, int]]  # each letter with the number of brackets around it


def _depths(letters: Sequence[ElementTree.Element]) -> list[int]:
    """How many brackets are open before each letter; a norm counts twice, for it stays whole."""
    texts = ["".join(letter.itertext()) for letter in letters]
    opened = [sum(map(text.count, "([⟨")) - sum(map(text.count, ")]⟩")) for text in texts]
    bars = [text.count("‖") for text in texts]
    return [
        sum(opened[:place]) + 2 * (sum(bars[:place]) % 2) for place in range(len(letters))
    ]  # fmt: skip


def _narrower(part: _Part, depth: int) -> list[_Part]:
    return _cut(part, (*_BREAKS, "/"), depth, least=3) if _wide(part) else [part]


def _cut(part: _Part, breaks: Sequence[str], depth: int, least: int = _SHORT) -> list[_Part]:
    """Cut before these signs where they stand in at most so many brackets."""
    parts: list[_Part] = [[]]
    for letter, held in part:
        if letter.text in breaks and held <= depth and len(parts[-1]) >= least:
            letter.set("form", "infix")
            parts.append([])
        parts[-1].append((letter, held))
    return parts


def _part(part: _Part) -> str:
    """One part of a formula; what is too wide for a phone and cannot be cut can be moved there."""
    row = "".join(ElementTree.tostring(letter, "unicode") for letter, _ in part)
    found = f"<math><mrow>{row}</mrow></math>"
    said = 'tabindex="0" role="group" aria-label="long formula"'
    return f'<span class="formula" {said}>{found}</span>' if _wide(part) else found


def _wide(part: _Part) -> bool:
    return sum(_width(letter) for letter, _ in part) > _WIDE


def _width(element: ElementTree.Element) -> float:
    """About how many letters wide it is: fractions lie over each other, indices are small."""
    inner = [_width(child) for child in element]
    if element.tag == "mfrac":
        return max(inner)
    small = 0.7 if element.tag in ("msub", "msup", "msubsup") else 1.0
    return len(element.text or "") + sum(inner[:1]) + small * sum(inner[1:])


def plain(text: str) -> str:
    r"""Return a text without markup, for terminals and alternative texts.

    Example:
        >>> plain(r"The loss is $\frac{1}{2} ‖v‖² + η_{w} \sqrt{π/2}$.")
        'The loss is 1/2 ‖v‖² + η_w √(π/2).'
    """
    return _FORMULA.sub(lambda match: _plain(match[1]), text)


def names(text: str) -> set[str]:
    """Return the letters that a text uses in its formulas, each as MathML names it.

    Example:
        >>> sorted(names("a word, $η_w t$, and $sin θ$"))
        ['t', 'w', 'η', 'θ']
    """
    found = "".join(mathml(part) for part in _FORMULA.findall(text))
    letters = set(re.findall(r"<mi>([^<]+)</mi>", found))
    return {letter for letter in letters if letter.isalpha()} - set(_FUNCTIONS)


def _latex(formula: str) -> str:
    """Translate what Unicode writes in one character, and functions, into TeX."""
    formula = _HIGH.sub(lambda match: "^{" + _as(match[0], _RAISED, _RAISED_AS) + "}", formula)
    formula = _LOW.sub(lambda match: "_{" + _as(match[0], _LOWERED, _LOWERED_AS) + "}", formula)
    formula = re.sub(r"\^?\*", "^{*}", formula).replace("}^{", "")  # a star and another mark
    formula = formula.replace("−", "-").replace("%", r"\%")
    formula = _BARRED.sub(lambda match: rf"\bar{{{_unbarred(match[0])}}}", formula)
    return _FUNCTION.sub(_function, formula)


def _unbarred(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[0]


def _as(text: str, letters: str, meant: str) -> str:
    return text.translate(str.maketrans(letters, meant))


def _function(match: re.Match[str]) -> str:
    """A function's name, with the spaces around it that the converter gives operators alone."""
    name = match[1]
    if name not in _KNOWN:
        return rf"\operatorname{{{name}}} "
    if name in ("max", "min"):
        return rf"\{name} "
    before, after = match.string[: match.start()].rstrip(), match.string[match.end() :].lstrip()
    left = r"\," if re.search(r"[\w)\]}]$", before) else ""
    right = r"\," if re.match(r"[\w\\]", after) else ""
    return rf"{left}\{name}{right} "


def _letter(match: re.Match[str]) -> str:
    return str(escape(chr(int(match[1], 16))))


def _sorted_out(match: re.Match[str]) -> str:
    """Call operators what the converter took for names."""
    letter = match[1]
    if letter.isalpha() or letter in "∞∂":
        return match[0]
    is_fence = unicodedata.category(letter) in ("Ps", "Pe", "Po")
    return f'<mo stretchy="false">{letter}</mo>' if is_fence else f"<mo>{letter}</mo>"


def _plain(formula: str) -> str:
    formula = re.sub(rf"\\(?:text|operatorname){_BRACES}", r"\1", formula)
    for _ in range(3):  # as deep as they are nested
        formula = re.sub(rf"\\frac{_BRACES}{_BRACES}", _ratio, formula)
        formula = re.sub(rf"\\sqrt{_BRACES}", lambda match: "√" + _held(match[1]), formula)
    formula = re.sub(rf"\^{_BRACES}", _raised, formula)
    formula = re.sub(rf"_{_BRACES}", lambda match: "_" + _held(match[1]), formula)
    return formula.replace("^*", "*").replace("\\,", _NARROW).replace("\\", "")


def _raised(match: re.Match[str]) -> str:
    """A number as Unicode raises it, anything else after a caret."""
    digits = match[1].replace("−", "-")
    if re.fullmatch(r"-?\d+", digits):
        return digits.translate(str.maketrans("0123456789-", _RAISED[:11]))
    return "^" + _held(match[1])


def _ratio(match: re.Match[str]) -> str:
    return "/".join(part if len(part) == 1 else _held(part) for part in match.groups())


def _held(part: str) -> str:
    """Put what has more than one factor into parentheses.

    Example:
        >>> _held("10"), _held("v*"), _held("2π"), _held("a + b")
        ('10', 'v*', '(2π)', '(a + b)')
    """
    alone = re.fullmatch(r"[\d.]+|[^\W\d]+[*′\d]?|\([^()]*\)", part)
    return part if alone else f"({part})"
