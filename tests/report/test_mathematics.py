import re

import pytest

from whytrain import studies
from whytrain._mathematics import mathml, names, plain, typeset
from wording import slips

PHONE = 30  # letters on a line of a phone, indices and powers among them


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
    for text in told(studies.load(name)):
        assert not slips(text), (slips(text), text)
        assert "\\" not in plain(text), text
        assert "merror" not in typeset(text)


def told(study):
    """All that a study says, but for what it makes of its numbers."""
    yield from (study.title, study.question, study.model.caption)
    yield from (text for claim in study.claims for text in texts(claim))
    yield from (figure.title for figure in study.figures)
    yield from (text for pair in study.model.symbols for text in pair)
    yield from (text for one in study.conclusions for text in (one.holds, one.fails, one.matters))


@pytest.mark.parametrize("name", studies.names())
def test_no_formula_is_wider_than_a_phone(name):
    assert not any('class="formula"' in typeset(text) for text in told(studies.load(name)))


@pytest.mark.parametrize(
    "formula",
    [
        "min((R² B_3 T + R³ B_4 T²/2) min(T, n/λ), R² B_3 T²/2 + R³ B_4 T³/6)",
        " + ".join("abcdefghijklmnopqrstuvwxyz"),
        "f(" + " + ".join("abcdefghijklm") + ")/g(h(" + " − ".join("opqrstuvwxyz") + "))",
    ],
)
def test_a_long_formula_has_places_where_a_line_may_end(formula):
    parts = [re.sub("<[^>]*>", "", part) for part in mathml(formula).split("<wbr>")]
    assert max(map(len, parts)) < PHONE
    assert "".join(parts) == re.sub("[ _]", "", formula).translate(str.maketrans("²³", "23"))


def test_a_formula_that_cannot_be_cut_can_be_moved_with_the_keyboard():
    found = mathml(r"\frac{" + " + ".join("abcdefghijklmnop") + "}{2}")
    assert "<wbr>" not in found
    assert found.startswith('<span class="formula" tabindex="0" role="group" aria-label="')
    assert mathml(r"\frac{a + b}{2}").startswith("<math>")


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
        ("a sin θ", "<mi>a</mi>{0}<mi>sin</mi>{0}<mi>θ</mi>".format('<mspace width="0.167em" />')),
        ("log(2)", '<mi>log</mi><mo stretchy="false">(</mo>'),
        ("max x", "<mo>max</mo><mi>x</mi>"),
        ("a < b", "<mo>&lt;</mo>"),
        ("w̄ − ū", '<mover><mrow><mi>u</mi></mrow><mo stretchy="true">¯</mo></mover>'),
        ("2|x|", '<mi>x</mi><mo stretchy="false" lspace="0" rspace="0">|</mo>'),
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


@pytest.mark.parametrize(
    "text",
    [
        "V_distance_frobenius falls",
        "ln N <= 5 h",
        "they grow like k^2.00",
        "it is lowest at h = 32",
        "runs in agreement at 1e-96",
        "it falls like $m$ to the -0.96",
        "the nearest is neyshabur2015",
        "the largest entry of K3",
        "the middle branch is 1 - mu/gamma",
        "an open $formula",
    ],
)
def test_slips_of_notation_are_noticed(text):
    assert slips(text)


def test_words_and_formulas_are_no_slips():
    assert not slips("A 2-layer ResNet18 (N 2015), claim N-E8: $h^{−0.5}$ from $h = 32$ on, 95 %.")
