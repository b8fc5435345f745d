"""What a reader must not meet: names of the code, and formulas that are not typeset."""

import re

# Outside of `$` nothing is typeset, so that none of this may stand there.
SIGNS = re.compile(r"[_^‖√∂⟨⟩∑≤≥∈²³ᵀ₀₁₂₃₄⁻α-ωΑ-Ω]|\|\||<=|>=|sqrt")
COMPARED = re.compile(r"\b[A-Za-z] ?[=<>] ?-?[\d.]")  # h = 32
POWER_OF_TEN = re.compile(r"\d[eE][-+]?\d")  # 1e-96
HYPHEN = re.compile(r"(?<![\w)])-\d")  # -0.96, with a hyphen for a minus
LETTER = re.compile(r"(?<![\w-])[A-Z]\d\b")  # K3
GREEK = re.compile(r"\b(?:alpha|beta|gamma|eta|theta|lambda|mu|sigma|phi|psi)\b")
NAME = re.compile(r"\b[a-z]+[0-9]{4}\b(?!\.md)")  # bartlett2017, as the code calls it


def slips(text):
    """What of a text is neither words nor typeset."""
    words = re.sub(r"\$[^$]*\$", "", text)
    found = [one.group() for rule in (SIGNS, COMPARED, POWER_OF_TEN, HYPHEN, LETTER, GREEK, NAME)
             for one in rule.finditer(words)]  # fmt: skip
    return found + ["$"] * (text.count("$") % 2)
