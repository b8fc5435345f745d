"""The data of a figure: complete enough to draw it again."""

import numpy as np
import pytest

from redrawn import drawn_again, of_kind
from whytrain.report import figures
from whytrain.report.seeing import seen
from whytrain.report.tables import panels, table_of, text_of


@pytest.fixture
def rates():
    cnn = figures.Series([16, 25, 36], [0.5, 0.4, 0.3], "CNN", low=[0.4, 0.3, 0.2], high=[0.6] * 3)
    residual = figures.Series([16, 25, 36], [0.9, 1.0, 0.9], "ResNet")
    upper = figures.Panel([cnn, residual], "success rate")
    lower = figures.Panel([figures.Series([16, 36], [1e-3, 1.0], "error")], "error", log=True)
    return figures.lines([upper, lower], x_label="$k$", log="x")


def test_lines_and_bands_are_drawn_again_from_the_table(rates):
    rows = table_of(rates)
    again = table_of(drawn_again(text_of(rows)))
    assert of_kind(again, "line", "band") == of_kind(rows, "line", "band")
    assert len(of_kind(rows, "band")) == 3
    assert len(of_kind(rows, "line")) == 8


def test_a_map_is_drawn_again_from_the_table(field):
    even = field.assign_coords(tilt=field.tilt, step_size=np.linspace(1, 7, 7))
    rows = table_of(figures.phase_diagram(even, x="tilt", y="step_size"))
    found = of_kind(rows, "map")
    assert len(found) == field.success_rate.size
    values = np.array([float(row["value"]) for row in found]).reshape(7, 9)
    np.testing.assert_allclose(values, field.success_rate.values.T, atol=1e-9)


def test_cells_of_a_map_stand_at_their_settings(field):
    rows = table_of(figures.phase_diagram(field, x="tilt", y="step_size", log="y"))
    for column, name in (("x", "tilt"), ("y", "step_size")):
        found = sorted({row[column] for row in rows if row["mark"] == "map"})
        np.testing.assert_allclose(found, field[name].values, rtol=1e-12)


def test_color_scales_are_no_panels(field):
    assert len(panels(figures.phase_diagram(field, x="tilt", y="step_size", log="y"))) == 1


def test_what_is_seen_is_told(rates, field):
    assert seen(rates) == (
        "Panel 1: success rate over k. CNN: falls from 0.5 at 16 to 0.3 at 36; ResNet: from 0.9 "
        "at 16 over 1 at 25 to 0.9 at 36. Panel 2: error over k. error: rises from 0.001 at 16 to "
        "1 at 36."
    )
    words = seen(figures.phase_diagram(field, x="tilt", y="step_size", log="y"))
    assert words.startswith("step size over initial angle (rad). map of values, least ")


def test_intervals_stand_below_each_other():
    rows = [figures.Interval("a", 1.0, 0.5, 1.5, "first"), figures.Interval("b", 2.0, 1.0, 3.0)]
    figure = figures.forest_plot(rows, x_label="difference")
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [row["x"] for row in table_of(figure) if row["series"] == "b, interval"] == [1.0, 3.0]
