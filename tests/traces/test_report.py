import re
import shutil
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from hypothesis import given, settings
from playwright.sync_api import sync_playwright

from safelight.reports.drawing import drawing_of
from safelight.traces.analyses.by_service import by_service
from safelight.traces.analyses.questions import QUESTIONS
from safelight.traces.errors import NoSuchService
from safelight.traces.parquet import write_parquet
from safelight.traces.reading import open_trace
from safelight.traces.report.contents import CONTENTS
from safelight.traces.report.report import write_report
from safelight.traces.schema import empty
from safelight.traces.usage import usages
from traces.busy import busy_rows, trace_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src='http://evil.example/x.png' onerror='alert(1)'>",
    "</style></svg>{{ 7 * 7 }}{% raw %}&amp;",
    "$\\frac{1}{2}$ \x00\x1b[31m \ufffe 🎨 漢字",
    "url(http://evil.example/a) #1c2128 javascript:alert(1)",
]
LOADING = ("src", "href", "srcset", "data", "action", "poster", "background", "formaction", "xlink:href")


def page_of(trace, folder, **options):
    write_parquet(trace, folder / "trace.parquet", source="a test")
    write_report(open_trace(folder / "trace.parquet"), folder / "report.html", **options)
    return (folder / "report.html").read_text("utf-8")


def hostile_trace():
    rows = [
        {
            "arrival_s": float(at * 7 % 200),
            "service": HOSTILE[at % 2],
            "instance": HOSTILE[at % 5],
            "base_model": HOSTILE[at % 3],
            "controlnets": [HOSTILE[at % 5], HOSTILE[at % 3]],
            "loras": [HOSTILE[at % 4], HOSTILE[(at + 1) % 4]],
        }
        for at in range(100)
    ]
    return pl.LazyFrame(rows).sort("arrival_s")


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    return page_of(hostile_trace(), tmp_path_factory.mktemp("hostile"))


def test_a_page_is_well_formed_and_its_ids_are_unique(hostile_page):
    ids = [element.get("id") for element in ET.fromstring(hostile_page).iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 10


def test_every_reference_of_a_page_is_to_itself(hostile_page):
    page = ET.fromstring(hostile_page)
    ids = {element.get("id") for element in page.iter()}
    for element in page.iter():
        for name, value in element.attrib.items():
            if name in LOADING:
                assert value.startswith("data:text/csv;") or value.removeprefix("#") in ids
            if name in {"style", "clip-path", "fill", "filter"}:
                assert set(re.findall(r"url\((.*?)\)", value)) <= {f"#{each}" for each in ids}


def test_a_page_has_nothing_that_runs_or_loads(hostile_page):
    page = ET.fromstring(hostile_page)
    assert {element.tag for element in page.iter()}.isdisjoint(
        {"script", "link", "iframe", "img", "object", "embed", "base", "form", "image"}
    )
    assert not [name for element in page.iter() for name in element.attrib if name.startswith("on")]
    assert not re.search(r"url\(|@import", "".join(page.find("head/style").itertext()))


def test_hostile_names_are_told_as_they_are(hostile_page):
    text = "".join(ET.fromstring(hostile_page).itertext())
    assert HOSTILE[0] in text
    assert "{{ 7 * 7 }}" in text


def test_the_policy_of_a_page_lets_nothing_be_loaded(hostile_page):
    policy = ET.fromstring(hostile_page).find("head/meta[@http-equiv='Content-Security-Policy']").get("content")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_no_request_leaves_a_page_in_a_browser(hostile_page, tmp_path):
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium), so the page is not tried in a browser")
    (tmp_path / "report.html").write_text(hostile_page, "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page, asked, errors = browser.new_page(viewport={"width": 390, "height": 844}), [], []
        page.on("request", lambda request: asked.append(urlsplit(request.url).scheme))
        page.on("console", lambda message: errors.append(message.text))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.goto((tmp_path / "report.html").as_uri())
        for summary in page.locator("summary").all():
            summary.click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").first.click()
        table = pl.read_csv(download.value.path())
        width = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert (set(asked) - {"data"}, errors, width) == ({"file"}, [], 390)
    assert table["requests"].sum() == 50


def test_the_same_trace_gives_the_same_page(tmp_path):
    trace = trace_of([{"arrival_s": at**1.1, "loras": ["a", "b"], "instance": "xyz"[at % 3]} for at in range(40)])
    assert page_of(trace, tmp_path) == page_of(trace, tmp_path)


def test_an_empty_trace_has_a_page_that_says_why_it_has_no_figures(tmp_path):
    page = ET.fromstring(page_of(empty().lazy(), tmp_path))
    assert (len(page.findall(".//article")), page.findall(".//figure")) == (len(CONTENTS), [])
    assert all(article.findall("div/p") for article in page.findall(".//article"))


def test_a_trace_of_arrivals_alone_has_a_page_with_figures_of_arrivals(tmp_path):
    page = ET.fromstring(page_of(trace_of([{"arrival_s": at**1.1} for at in range(500)]), tmp_path))
    drawn = {article.get("id") for article in page.findall(".//article") if article.find("figure/svg") is not None}
    assert drawn == {f"service-1-{name}" for name in ("arrivals", "burstiness", "gaps")}


def test_a_service_can_be_the_only_one_of_a_page(tmp_path):
    page = page_of(pl.LazyFrame({"arrival_s": [1.0, 2.0], "service": ["A", "B"]}), tmp_path, service="B")
    assert [heading.text for heading in ET.fromstring(page).findall(".//main/section/h2")] == ["Service B"]


def test_a_service_that_is_not_there_is_told(tmp_path):
    with pytest.raises(NoSuchService, match="'C'"):
        page_of(pl.LazyFrame({"arrival_s": [1.0], "service": ["A"]}), tmp_path, service="C")


def test_services_beyond_the_largest_are_counted(tmp_path):
    services = [f"s{number}" for number in range(9) for _ in range(number + 1)]
    page = page_of(pl.LazyFrame({"arrival_s": [1.0] * len(services), "service": services}), tmp_path)
    assert "3 smaller services left out here" in page


def test_requests_without_a_service_are_counted(tmp_path):
    page = page_of(pl.LazyFrame({"arrival_s": [1.0, 2.0, 3.0], "service": ["A", None, None]}), tmp_path)
    assert "2 requests without a service left out here" in page


@given(rows=busy_rows)
@settings(max_examples=20)
def test_every_question_is_answered_in_whole_sentences(rows):
    frame = trace_of(rows)
    for section in CONTENTS:
        findings = section.ask(frame, usages(frame)).findings
        assert findings
        assert all(re.fullmatch(r"[A-Z0-9].*\.", finding) for finding in findings)


def test_a_trace_of_one_request_has_a_page(tmp_path):
    page = ET.fromstring(page_of(trace_of([{"arrival_s": 5.0, "loras": ["a", "b"], "instance": "x"}]), tmp_path))
    assert len(page.findall(".//article")) == len(CONTENTS)


@pytest.mark.parametrize("column", ["arrival_s", "loras", "instance"])
def test_questions_about_a_trace_that_lacks_a_column_are_answered_all_the_same(column):
    rows = [{"arrival_s": float(at), "instance": "x", "loras": ["a", "b"], "controlnets": None} for at in range(30)]
    frame = trace_of([{name: value for name, value in row.items() if name != column} for row in rows])
    assert all(section.ask(frame, usages(frame)).findings for section in CONTENTS)


@given(rows=busy_rows)
@settings(max_examples=10)
def test_answers_by_service_are_those_of_each_service(rows):
    frame = trace_of(rows).with_columns(service=pl.col("instance"))
    table = by_service(frame, QUESTIONS["cooccurrence"]).table
    for service in {row["instance"] for row in rows}:
        alone = QUESTIONS["cooccurrence"](frame.filter(pl.col("service").eq_missing(service))).table
        if not alone.is_empty():
            assert table.filter(pl.col("service").eq_missing(service)).drop("service").equals(alone)


def test_a_figure_has_a_part_for_each_service():
    rows = [{"arrival_s": at**1.1, "loras": ["a", "b"]} for at in range(60)]
    frame = trace_of(rows).with_columns(service=pl.Series(["A", "B", None] * 20))
    drawing = drawing_of(by_service(frame, QUESTIONS["burstiness"]), prefix="x")
    assert all(title in drawing for title in ("Service A", "Service B", "Requests without a service"))
