import re

import pytest

from whytrain import studies
from whytrain._mathematics import mathml, names, plain, typeset

# What formulas are made of. Outside of `$` none of it is typeset.
BARE = re.compile(r"[_^‖√∂⟨⟩∑≤≥∈²³ᵀ₀₁₂₃₄⁻α-ωΑ-Ω]|\|\||<=|>=|sqrt")


def texts(claim):
    yield from (claim.title, claim.source, claim.statement, claim.does_not_show)
    yield from (part.what for part in claim.parts)
    yield from (fault.what for fault in claim.faults)


@pytest.mark.parametrize("name", studies.names())
def test_every_symbol_of_a_claim_is_defined_on_its_page(name):
    study = studies.load(name)
    defined = {"π", "∂"}.union(*(names(symbol) for symbol, _ in study.model.symbols))
    for claim in study.claims:
        for text in (claim.statement, claim.does_not_show, *(part.what for part in claim.parts)):
            assert names(text) <= defined, (claim.id, text)


@pytest.mark.parametrize("name", studies.names())
def test_formulas_are_marked_as_such(name):
    study = studies.load(name)
    told = [text for claim in study.claims for text in texts(claim)]
    told += [figure.title for figure in study.figures]
    told += [words for _, words in study.model.symbols]
    told += [text for one in study.conclusions for text in (one.holds, one.fails, one.matters)]
    for text in told:
        assert not BARE.search(re.sub(r"\$[^$]*\$", "", text)), text
        assert text.count("$") % 2 == 0, text
        assert "\\" not in plain(text), text
        assert "merror" not in typeset(text)


@pytest.mark.parametrize("name", studies.names())
def test_conclusions_rest_on_claims_that_there_are(name):
    study = studies.load(name)
    ids = {claim.id for claim in study.claims}
    for one in study.conclusions:
        assert one.claims
        assert set(one.claims) <= ids
        assert one.holds or one.fails
    contradicted = {claim.id for claim in study.claims if claim.expected == "contradicted"}
    assert contradicted <= {id for one in study.conclusions if one.fails for id in one.claims}


@pytest.mark.parametrize(
    ("formula", "element"),
    [
        ("v*ᵀM", "<msup><mi>v</mi><mrow><mo>*</mo><mo>⊤</mo></mrow></msup>"),
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        ("10⁻⁶", "<msup><mn>10</mn><mrow><mo>−</mo><mn>6</mn></mrow></msup>"),
        ("‖a‖", '<mo stretchy="false">‖</mo><mi>a</mi><mo stretchy="false">‖</mo>'),
        ("x ≤ ∞", "<mi>x</mi><mo>≤</mo><mi>∞</mi>"),
        ("sin θ", "<mi>sin</mi><mi>θ</mi>"),
        ("a < b", "<mo>&lt;</mo>"),
    ],
)
def test_notation(formula, element):
    assert element in mathml(formula)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"$\frac{a + b}{2π}$ of $x$", "(a + b)/(2π) of x"),
        (r"$\sqrt{2π} ‖w‖$", "√(2π) ‖w‖"),
        (r"$10^{-12}$, $m^{1−r/2}$, $h^{2}$", "10⁻¹², m^(1−r/2), h²"),
        (r"$E g_{\text{relu}}$", "E g_relu"),
        ("price: 5", "price: 5"),
    ],
)
def test_plain_text(text, shown):
    assert plain(text) == shown
