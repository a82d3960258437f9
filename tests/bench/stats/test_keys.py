"""The list of keys in docs/bench.md is whole."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

from bench.makers import make_config, make_requests, run_of
from safelight.bench.endpoints.videos import Videos
from safelight.bench.load.settings import LoadSettings
from safelight.bench.load.spec import load_spec_of
from safelight.bench.records import Record
from safelight.bench.run import Run
from safelight.bench.stats.metrics import compute_metrics

DOCS = Path(__file__).parents[3] / "docs" / "bench.md"


def documented_keys():
    """Return the names, some of them with a star, in the first column of the table of keys."""
    table = DOCS.read_text().partition("## Keys")[2].partition("\n## ")[0]
    return {
        name for row in table.splitlines() if row.startswith("| ") for name in re.findall("`(.+?)`", row.split("|")[1])
    }


def undocumented(keys):
    names = documented_keys()
    return {key for key in keys if not any(fnmatchcase(key, name) for name in names)}


def rich_run(**more):
    """A run that tells all that there is to tell."""
    requests = make_requests(2, deadline_s=1.0, every_s=1.0)
    told = {"queue_s": 0.1, "compute_s": 0.1, "stages_s": {"vae": 0.1}, "peak_memory_mb": 1.0, "scene_score": 1.0}
    records = [
        Record(
            request=request, due_s=1.0, released_s=1.0, sent_s=1.0, done_s=2.0, first_preview_s=1.5, previews=2, **told
        )
        for request in requests
    ]
    return Run(
        config=make_config("http://nowhere", requests, max_concurrency=1, **more),
        records=records,
        duration_s=2.0,
        began_at=0.0,
    )


def test_every_figure_is_in_the_list_of_keys():
    runs = (rich_run(), rich_run(endpoint=Videos(), decode=lambda _: None), run_of([1.0] * 30), run_of([]))
    assert undocumented({key for run in runs for key in compute_metrics(run)}) == set()


def test_every_fact_of_a_load_is_in_the_list_of_keys():
    settings = LoadSettings(task="t2i", dataset="random")
    assert undocumented(load_spec_of(settings, notify=print).facts) == set()


def test_every_interval_is_of_a_figure_that_is_in_the_list_of_keys():
    metrics = compute_metrics(rich_run(), run_of([1.0] * 30, deadline_s=1.0, max_concurrency=1))
    assert undocumented({*metrics["confidence"], *metrics["effective_requests"]}) == set()


def test_the_list_of_keys_has_none_that_there_is_not():
    runs = (rich_run(), rich_run(endpoint=Videos(), decode=lambda _: None))
    keys = {*load_spec_of(LoadSettings(task="t2i", dataset="random"), notify=print).facts}
    keys |= {key for run in runs for key in compute_metrics(run)}
    assert {name for name in documented_keys() if not any(fnmatchcase(key, name) for key in keys)} == set()
