import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from safelight.traces.analyses.spoken import moment, number, seconds, share, short
from safelight.traces.analyses.style import WIDE_IN, house_style, in_thousands, label_ends, panel


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


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 s"),
        (0.0231, "23.1 ms"),
        (0.9997, "1 s"),
        (5.57, "5.57 s"),
        (90, "90 s"),
        (720, "12 minutes"),
        (86400 * 20, "20 days"),
    ],
)
def test_lengths_of_time_are_said_in_their_natural_unit(value, words):
    assert seconds(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 %"), (0.00012, "0.012 %"), (0.356, "35.6 %"), (1, "100 %"), (0.99999, "nearly 100 %")]
)
def test_only_all_are_said_to_be_all(value, words):
    assert share(value) == words


@pytest.mark.parametrize(("value", "words"), [(0.0945, "0.0945"), (3.683, "3.68"), (1020.4, "1,020")])
def test_numbers_are_said_with_the_digits_that_count(value, words):
    assert number(value) == words


@pytest.mark.parametrize(
    ("arrival_s", "words"),
    [(0, "day 1, 00:00"), (86400 * 2 + 3723, "day 3, 01:02:03"), (1_750_000_000, "2025-06-15 15:06:40")],
)
def test_moments_are_told_by_date_where_it_is_known(arrival_s, words):
    assert moment(arrival_s) == words


@given(name=st.text(), most=st.integers(6, 40))
def test_a_long_name_is_cut_to_what_fits(name, most):
    assert len(short(name, most)) <= most


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
