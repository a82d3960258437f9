import base64
import re
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

from safelight.reports.style import house_style
from safelight.simulator.results.page import MARK, write_page
from safelight.simulator.results.plots import comparison_of, gantt_of, timeline_of
from simulator.results.runs import document, result_of

RESULTS = [result_of(policy, load=load, seed=seed) for load in (1, 2) for policy in ("a", "b") for seed in (0, 1)]


class Headings(HTMLParser):
    """Collects the texts of titles and headings, and ids."""

    def __init__(self):
        super().__init__()
        self.texts, self.ids, self._open = [], [], None

    def handle_starttag(self, tag, attrs):
        self._open = tag
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        if self._open in {"h2", "h3"} and data.strip():
            self.texts.append(data)


def page_of(results, tmp_path, **settings):
    path = tmp_path / "report.html"
    write_page(path, document(results, **settings), results, command="safelight simulate x.toml --json")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return page_of(RESULTS, tmp_path_factory.mktemp("page"))


def test_every_heading_of_a_page_says_that_it_is_simulated(page):
    found = Headings()
    found.feed(page)
    assert [text for text in found.texts if "Simulated" not in text] == []
    assert MARK in page


def test_ids_of_a_page_are_unique(page):
    found = Headings()
    found.feed(page)
    assert len(found.ids) == len(set(found.ids))


def test_a_page_draws_one_run_of_each_policy_and_load(page):
    assert page.count("Simulated devices: ") >= 4
    assert "Simulated devices: a, load 1, seed 0" in page
    assert "seed 1" not in page


def test_a_page_loads_nothing(page):
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_an_interrupted_simulation_says_so(tmp_path):
    assert "interrupted" in page_of([result_of(is_complete=False)], tmp_path, is_complete=False)


@pytest.mark.parametrize(
    "result",
    [
        timeline_of(result_of()),
        timeline_of(result_of(quality=None)),
        gantt_of(result_of()),
        gantt_of(result_of(spans=False)),
        comparison_of(document(RESULTS)),
        comparison_of(document(RESULTS[:1])),
    ],
    ids=["timeline", "timeline without quality", "devices", "no devices", "policies by load", "one policy"],
)
def test_every_plot_is_marked_and_can_be_drawn(result):
    with house_style():
        figure = Figure()
        result.draw(figure)
        figure.canvas.draw()
    labels = [text.get_text() for axes in figure.axes for text in (axes.xaxis.label, axes.yaxis.label)]
    assert result.title.startswith("Simulated")
    assert not figure.axes or any("simulated" in label for label in labels)


def test_bars_reach_as_far_as_the_interval_on_each_side():
    runs = [result_of(seed=seed, slowness=slowness) for seed, slowness in ((0, 0.1), (1, 0.9))]
    found = document(runs).summaries[0].figures["attainment"]
    figure = Figure()
    comparison_of(document(runs)).draw(figure)
    lines = [lines for axes in figure.axes[:1] for lines in axes.collections]
    (((low, _), (high, _)),) = lines[0].get_segments()
    assert (low, high) == (pytest.approx(found.low), pytest.approx(found.high))


def test_every_row_of_the_tables_of_a_page_says_that_it_is_simulated(page):
    urls = re.findall(r'href="data:text/csv[^,]*,([^"]+)"', page)
    tables = [base64.b64decode(data).decode().splitlines() for data in urls]
    rows = [row.split(",")[0] for table in tables for row in table[1:]]
    assert {table[0].split(",")[0] for table in tables} == {"simulated"}
    assert set(rows) == {"true"}


def test_a_variant_draws_the_policies_that_it_has(tmp_path):
    runs = [result_of(policy, load=load, variant=v) for v, policy in (("x", "a"), ("y", "b")) for load in (1, 2)]
    runs += [result_of("c", load=load, variant="y", quality=None) for load in (1, 2)]
    assert "Simulated policies side by side: y" in page_of(runs, tmp_path)
