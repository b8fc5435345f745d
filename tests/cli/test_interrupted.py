"""What is said after Ctrl-C: go on where pieces are kept, start again where none are."""

import pytest

from whytrain.cli.main import _how_to_resume


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("reproduce liu2019", "what is finished is kept, go on with: whytrain reproduce liu2019"),
        ("sweep a/b --out=d", "what is finished is kept, go on with: whytrain sweep a/b --out=d"),
        ("run a/b --out d", "what is finished is kept, go on with: whytrain run a/b --out d"),
        ("run a/b", "nothing is kept without --out DIR, start again with: whytrain run a/b"),
        ("measure network n --out d", "nothing is kept, start again with: whytrain measure"),
        ("measure deep n", "nothing is kept, start again with: whytrain measure deep n"),
    ],
)
def test_an_interruption_says_what_is_kept(words, said):
    assert _how_to_resume(words.split()).startswith(f"interrupted; {said}")
