import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from safelight.reports.style import WIDE_IN, house_style, in_thousands, label_ends, panel


@given(ends=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_labels_of_lines_that_end_close_together_stand_apart_in_their_order(ends):
    with house_style():
        axes = panel(Figure(figsize=WIDE_IN), x="x", y="y")
        for end in ends:
            axes.plot([0, 1], [0, end])
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label_ends(axes, [str(place) for place in range(len(ends))])
    heights = {int(text.get_text()): text.xy[1] for text in axes.texts}
    order = sorted(range(len(ends)), key=ends.__getitem__)
    assert np.diff([heights[place] for place in order]).min(initial=1) > 0.05


@pytest.mark.parametrize("values", [(0.8, 0.9, 1.1), (0.5, 20), (1, 1e6)])
def test_numbers_along_a_logarithmic_axis_are_plain(values):
    figure = Figure()
    with house_style():
        axes = figure.add_subplot()
        axes.set_yscale("log")
        axes.plot(values)
        in_thousands(axes.yaxis)
        figure.draw_without_rendering()
        labels = [tick.label1.get_text() for tick in (*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks())]
    assert [label for label in labels if "$" in label] == []
    assert any(labels)
