import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whytrain.errors import UserError
from whytrain.report import export, figures, style
from whytrain.report.figures.labels import spread

BORDER = ("theory", [1.5, 2.5], [1.0, 0.1])


def texts(figure):
    """Give what is written in a figure, through its SVG."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", export.svg(figure))


def test_lines_are_labeled_at_their_ends():
    series = [figures.Series([1, 2], [0, height], f"line {height}") for height in (1, 2)]
    figure = figures.lines(series, x_label="k", y_label="rate")
    assert {"line 1", "line 2", "k", "rate"} <= set(texts(figure))


def test_a_formula_in_a_label_is_not_cut():
    label = r"$\eta_w / \eta_a = 10^{-2}$ or less"
    figure = figures.lines([figures.Series([1, 2], [0, 1], label)], x_label="k")
    assert label in [text.get_text() for text in figure.axes[0].texts]


def test_panels_share_the_horizontal_axis():
    panels = [figures.Panel([figures.Series([1, 10], [1, 0.1])], name) for name in ("φ", "u")]
    figure = figures.lines(panels, x_label="step", log="x", x_limits=(1, 100))
    assert [axes.get_xlim() for axes in figure.axes] == [(1, 100)] * 2
    assert {"φ", "u", "step"} <= set(texts(figure))


def test_bands_and_references_are_drawn():
    series = figures.Series([1, 2], [0.5, 0.5], low=[0.4, 0.4], high=[0.6, 0.6])
    marks = [figures.Reference(0.3, "bound"), figures.Reference(1.5, "stage II", "x")]
    figure = figures.lines([series], x_label="k", references=marks)
    assert len(figure.axes[0].collections) == 1
    assert {"bound", "stage II"} <= set(texts(figure))


def test_a_line_of_gaps_has_no_label():
    series = figures.Series([1, 2], [np.nan, np.nan], "empty")
    assert "empty" not in texts(figures.lines([series], x_label="k"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: figures.lines([], x_label="k"),
        lambda: figures.lines([figures.Series([1, 2], [1])], x_label="k"),
        lambda: figures.lines([figures.Series([1], [1], low=[1, 2], high=[1, 2])], x_label="k"),
        lambda: figures.lines([figures.Series([1], [1])], x_label="k", log="z"),
        lambda: figures.plane([0, 1], [0, 1, 2], np.zeros((2, 3)), x_label="x", y_label="y"),
    ],
)
def test_bad_input_is_a_user_error(call):
    with pytest.raises(UserError):
        call()


def test_phase_diagram_takes_names_and_units_from_the_dataset(field):
    figure = figures.phase_diagram(field, x="tilt", y="step_size", log="y", borders=[BORDER])
    assert {"initial angle (rad)", "step size", "success rate"} <= set(texts(figure))


@pytest.mark.parametrize(("x", "y"), [("tilt", "step_size"), ("step_size", "tilt")])
def test_phase_diagram_puts_each_dimension_on_its_axis(field, x, y):
    figure = figures.phase_diagram(field, x=x, y=y)
    mesh = figure.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(mesh, field.success_rate.transpose(y, x))


def test_phase_diagram_marks_where_the_rate_is_one_half(field):
    figure = figures.phase_diagram(field, x="tilt", y="step_size", log="y")
    [contour] = [item for item in figure.axes[0].collections if hasattr(item, "levels")]
    tilt, step = contour.get_paths()[0].vertices.T
    np.testing.assert_allclose(tilt, 1.5 - np.log10(step), atol=0.05)


@pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
def test_phase_diagram_of_a_constant_has_no_contour(field, value):
    figure = figures.phase_diagram(field.where(False, value), x="tilt", y="step_size")
    assert len(figure.axes[0].collections) == 1
    export.png(figure, dpi=40)


def test_phase_diagram_of_one_cell(field):
    cell = field.isel(tilt=[0], step_size=[0])
    export.png(figures.phase_diagram(cell, x="tilt", y="step_size", log="y"), dpi=40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "sucess_rate"}, "did you mean 'success_rate'"),
        ({"x": "angle"}, "must have the dimensions"),
        ({"log": "x"}, "logarithmic"),
    ],
)
def test_phase_diagram_says_what_is_wrong(field, change, message):
    with pytest.raises(UserError, match=message):
        figures.phase_diagram(field, **{"x": "tilt", "y": "step_size", **change})


def test_plane_names_points_and_counts_outcomes():
    x, y = np.linspace(0, 3, 12), np.linspace(-1, 1, 9)
    figure = figures.plane(
        x,
        y,
        x + y[:, None] ** 2,
        x_label="angle",
        y_label="alignment",
        points=[figures.Point("saddle", 1.5, 0.0, "the saddle")],
        separatrix=([1.0, 2.0], [-0.5, 0.5]),
        paths=[
            figures.Path([1, 0], [0.5, 0.7], "global"),
            figures.Path([2, 3], [0, -0.3], "spurious"),
        ],
    )
    drawn = set(texts(figure))
    assert {"angle", "alignment", "contours: loss", "global: 1 of 2 runs"} <= drawn


def test_plane_refuses_an_unknown_outcome():
    with pytest.raises(UserError, match="outcome 'lost' is unknown"):
        figures.plane(
            [0, 1],
            [0, 1],
            np.eye(2),
            x_label="x",
            y_label="y",
            paths=[figures.Path([0], [0], "lost")],
        )


def test_figures_follow_the_theme(field):
    for name, theme in style.THEMES.items():
        with style.context(name):
            figure = figures.phase_diagram(field, x="tilt", y="step_size")
        assert f"fill: {theme.paper}" in export.svg(figure)


def test_svg_has_no_date_and_no_random_identifier(field):
    first, second = (
        export.svg(figures.phase_diagram(field, x="tilt", y="step_size")) for _ in range(2)
    )
    assert first == second
    assert "<dc:date>" not in first


@given(
    st.lists(st.tuples(st.floats(-50, 150), st.floats(1, 5)), min_size=1, max_size=10),
)
def test_spread_labels_do_not_overlap(labels):
    centers, heights = (list(column) for column in zip(*labels, strict=True))
    placed = spread(centers, heights, 100.0)
    boxes = sorted(
        (place - height / 2, place + height / 2)
        for place, height in zip(placed, heights, strict=True)
    )
    assert all(low[1] <= high[0] + 1e-6 for low, high in pairwise(boxes))
    assert boxes[0][0] >= -1e-6
    assert boxes[-1][1] <= 100 + 1e-6
