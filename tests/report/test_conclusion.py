from dataclasses import replace

from whytrain import report
from whytrain.lab import Conclusion
from whytrain.report.conclusion import conclude

WORDS = (
    Conclusion(("escape",), holds="runs escape", fails="runs stay", matters="Good to know."),
    Conclusion(("as-printed",), holds="it is as printed", fails="the printed bound breaks"),
    Conclusion(("unknown",), holds="never said", fails="never said"),
)


def test_verdicts_choose_the_words(reproduction):
    study = replace(reproduction.study, conclusions=WORDS)
    said = conclude(study, reproduction.outcomes)
    assert said["holds"] == "Runs escape."
    assert said["fails"] == "The printed bound breaks. 1 of 3 claims are not decided."
    assert said["matters"] == "Good to know."


def test_other_verdicts_choose_other_words(reproduction):
    study = replace(reproduction.study, conclusions=WORDS)
    (escape, good), (printed, bad), rest = reproduction.outcomes
    said = conclude(study, [(escape, bad), (printed, good), rest])
    assert said["holds"] == "It is as printed."
    assert said["fails"].startswith("Runs stay.")
    assert said["matters"] == ""


def test_claims_without_words_speak_with_their_titles(reproduction):
    said = conclude(reproduction.study, reproduction.outcomes)
    assert said["holds"] == "“About escape”."
    assert said["fails"].startswith("“About as-printed”.")


def test_a_contradiction_is_told_whatever_the_words_are(reproduction):
    study = replace(reproduction.study, conclusions=WORDS[:1])
    assert "About as-printed" in conclude(study, reproduction.outcomes)["fails"]


def test_an_unfinished_report_says_so_at_the_top(reproduction, tmp_path):
    text = report.write(reproduction, tmp_path).read_text(encoding="utf-8")
    head = text.split('id="result"')[0]
    assert "<strong>Unfinished.</strong> 0 of 1 settings are computed, 1 are missing" in head
    assert "2 of 3 claims are judged" in head
