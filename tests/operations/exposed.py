"""The metrics of a live server that has served something: samples by name, with their labels."""

from prometheus_client.parser import text_string_to_metric_families

from fakes.live_server import web

ROUTE = "/v1/images/generations"
SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gauge": ("",),
    "info": ("_info",),
}


class Exposed:
    """What `/metrics` shows.

    Attributes:
        families: the names of the metrics as in documents, with `_total` for counters, and their labels.
        samples: the names of the series, and their labels.
    """

    def __init__(self, text, registry):
        self.families = {}
        self.samples = {}
        for family in text_string_to_metric_families(text):
            if family.name.endswith("_created"):  # when a series began, which the text format shows as a metric
                continue
            name = _documented(family.name, family.type)
            self.families.setdefault(name, set())
            for sample in family.samples:
                self._note(name, sample.name, set(sample.labels))
        for metric in list(registry._collector_to_names):
            for labels, family in ((getattr(metric, "_labelnames", ()), family) for family in metric.collect()):
                for suffix in SUFFIXES[family.type]:
                    bucket = {"le"} if suffix == "_bucket" else set()
                    self._note(_documented(family.name, family.type), family.name + suffix, {*labels} | bucket)

    def _note(self, family, sample, labels):
        self.families.setdefault(family, set()).update(labels - {"le"})
        self.samples.setdefault(sample, set()).update(labels)


def exposed(server):
    """Have a server serve and refuse something, and return its metrics."""
    headers = {"authorization": f"Bearer {server.settings.api_key}"}
    for body in ({"prompt": "x"}, {"prompt": "x", "deadline_s": 1e-6}, {"prompt": "x", "model": "none"}):
        web.post(server.url + ROUTE, json=body, headers=headers)
    web.post(server.url + ROUTE, json={"prompt": "x"}, headers={"authorization": "Bearer wrong"})
    text = web.get(f"{server.url}/metrics", headers=headers).text
    return Exposed(text, server.state.metrics.registry)


def _documented(name, kind):
    return f"{name}_total" if kind == "counter" else name
