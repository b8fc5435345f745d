import matplotlib
import pytest

from whytrain.errors import UserError
from whytrain.report import style


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", style.THEMES)
def test_every_color_can_carry_text(name):
    """WCAG 2.2, success criterion 1.4.3: a contrast of at least 4.5."""
    theme = style.THEMES[name]
    for color in [theme.ink, theme.soft, *theme.palette.values()]:
        assert contrast(color, theme.paper) >= 4.5, color


def test_context_leaves_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    with style.context("dark"):
        assert matplotlib.rcParams["axes.facecolor"] == style.DARK.paper
    assert dict(matplotlib.rcParams) == before


def test_context_ignores_the_settings_of_the_user():
    with matplotlib.rc_context({"lines.linewidth": 9}), style.context():
        assert matplotlib.rcParams["lines.linewidth"] == 1.8


def test_themes_nest_and_the_outer_one_is_inherited():
    with style.context("dark"):
        with style.context():
            assert style.theme() is style.DARK
        with style.context("light"):
            assert style.theme() is style.LIGHT
    assert style.theme() is style.LIGHT


@pytest.mark.parametrize(
    "call", [lambda: style.color("blu"), lambda: style.context("drak").__enter__()]
)
def test_unknown_names_are_answered_with_the_nearest(call):
    with pytest.raises(UserError, match="did you mean"):
        call()


def test_every_outcome_has_a_color_of_its_own():
    assert len({style.color(outcome) for outcome in style.OUTCOMES}) == len(style.OUTCOMES)
