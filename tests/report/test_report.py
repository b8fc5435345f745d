import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from whytrain import report
from whytrain.errors import UserError
from whytrain.report.glyph import interval_glyph

LOADS = {"src", "srcset", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """Collects what a test asks about a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]


@pytest.fixture
def page(reproduction, tmp_path):
    path = report.write(reproduction, tmp_path / "out")
    return Page(path.read_text(encoding="utf-8"))


def test_page_loads_nothing(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img"}
    for tag, attrs in page.elements:
        loaded = [value for name, value in attrs.items() if name in LOADS]
        loaded += [attrs[name] for name in ("href", "xlink:href") if name in attrs and tag != "a"]
        assert all(value.startswith(("#", "data:image/png;base64,")) for value in loaded), tag
    assert not re.search(r"@import|url\((?!#)", page.text)
    assert set(re.findall(r'https?://[^"<]*', page.text)) == {"https://arxiv.org/abs/1909.04653"}


def test_identifiers_occur_once_and_every_reference_has_its_target(page):
    ids = page.ids()
    assert len(ids) == len(set(ids))
    targets = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page.text)
    assert {first or second for first, second in targets} <= set(ids)


def test_statements_are_escaped(page):
    assert "<script>alert" not in page.text
    assert "if a &lt; b &amp; c: &lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "the field is &lt;empty&gt;" in page.text


def test_every_claim_is_there_with_its_verdict(page, reproduction):
    for claim, verdict in reproduction.outcomes:
        assert f"claim-{claim.id}" in page.ids()
        assert verdict.note in page.text
        assert f"whytrain reproduce toy --claim {claim.id} --preset quick --seed 7" in page.text
    assert "1 of 3 claims supported, 1 contradicted (as expected), 1 not run" in page.text
    assert "[0, 7.4·10⁻⁴] range found" in page.text


def test_every_number_stands_beside_its_level_and_its_rule(page):
    assert "rule: ≤ 0.001" in page.text
    assert "97.5 % interval; rule: = 1 ± 0.01; ratio: supported" in page.text
    claim = page.text.split('id="claim-as-printed"')[1].split("</article>")[0]
    assert 'class="band"' not in claim


def test_the_tolerance_is_a_band_of_the_small_picture():
    shown = {"estimate": 1.0, "interval": [0.9, 1.1], "threshold": 1.0, "tolerance": 0.5}
    assert 'class="band" d="M6.0 1H126.0V15H6.0Z"' in interval_glyph(shown)
    assert "band" not in interval_glyph(shown | {"tolerance": 0.0})


def test_every_claim_leads_to_a_figure_or_says_that_it_has_none(reproduction, tmp_path):
    alone = [(replace(claim, figures=()), verdict) for claim, verdict in reproduction.outcomes[:1]]
    outcomes = [*alone, *reproduction.outcomes[1:]]
    claims = tuple(claim for claim, _ in outcomes)
    study = replace(reproduction.study, claims=claims)
    path = report.write(replace(reproduction, study=study, outcomes=outcomes), tmp_path)
    text = path.read_text(encoding="utf-8")
    articles = {part.split('"')[0]: part for part in text.split('id="claim-')[1:]}
    assert "No figure." in articles["escape"]
    assert '<a href="#figure-rate">Figure 1</a>' in articles["as-printed"]
    caption = text.split('id="caption-rate"')[1].split("</figcaption>")[0]
    assert 'href="#claim-as-printed"' in caption
    assert 'href="#claim-escape"' not in caption
    assert 'href="figures/rate.csv"' in caption


def test_faults_that_do_not_turn_a_claim_are_told(page):
    assert "0 of 2 planted faults turned" in page.text
    assert "off by 2 %: supported (not turned)" in page.text
    assert "no fault was tried" in page.text  # of the claim that was not run


def test_a_plan_that_was_changed_afterwards_is_told(reproduction, tmp_path):
    assert reproduction.document()["as_planned"]
    path = report.write(replace(reproduction, planned="0" * 64), tmp_path)
    assert "not the one that was fixed before the numbers" in path.read_text(encoding="utf-8")


def test_claims_and_figures_are_headings_in_order(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = page.ids()
    assert {f"title-{name}" for name in ("escape", "as-printed", "unknown")} <= set(ids)
    assert {f"caption-{name}" for name in ("rate", "broken", "late")} <= set(ids)
    assert ids.index("claim-as-printed") < ids.index("claim-unknown") < ids.index("claim-escape")


def test_pictures_have_words_for_those_who_do_not_see_them(page):
    words = [attrs["aria-label"] for _, attrs in page.elements if attrs.get("role") == "img"]
    assert words == ["Success & k. rate over k. CNN: rises from 0.5 at 16 to 0.6 at 25."] * 2


def test_figures_come_in_two_themes_or_with_a_reason(page):
    classes = [attrs.get("class") for _, attrs in page.elements]
    assert classes.count("light") == classes.count("dark") == 1
    assert "Not drawn: ValueError" in page.text
    assert "not computed yet (1 of 1 pieces of late)" in page.text


def test_files_beside_the_page(reproduction, tmp_path):
    path = report.write(reproduction, tmp_path)
    names = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert path == tmp_path / "report.html"
    assert names == {
        "report.html",
        "report.md",
        "report.json",
        "figures/rate.png",
        "figures/rate.svg",
        "figures/rate.csv",
    }
    assert (tmp_path / "figures/rate.png").read_bytes().startswith(b"\x89PNG")


def test_same_input_gives_the_same_bytes(reproduction, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    report.write(reproduction, first)
    report.write(reproduction, second)
    for file in first.rglob("*.*"):
        assert file.read_bytes() == (second / file.relative_to(first)).read_bytes(), file.name


def test_json_extends_what_the_command_prints(reproduction, tmp_path):
    report.write(reproduction, tmp_path)
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    printed = reproduction.document("report.html")
    more = {claim["id"]: claim for claim in said["claims"]}
    for claim in printed.pop("claims"):
        assert json.loads(json.dumps(claim)).items() <= more[claim["id"]].items()
    assert {name: said[name] for name in printed} == json.loads(json.dumps(printed))
    assert said["runs"] == 500
    assert [figure["name"] for figure in said["figures"]] == ["rate", "broken", "late"]
    assert said["figures"][0]["caption"] == "The rate rises with k."


def test_markdown_table_has_as_many_cells_as_columns(reproduction, tmp_path):
    report.write(reproduction, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert "![Success & k](figures/rate.png)" in text


def test_interrupted_run_has_no_time(reproduction, tmp_path):
    path = report.write(replace(reproduction, seconds=float("nan")), tmp_path)
    assert "not finished" in path.read_text(encoding="utf-8")


def test_a_file_in_the_place_of_the_directory_is_a_user_error(reproduction, tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError):
        report.write(reproduction, tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"
