"""All datasets there are."""

from collections.abc import Callable, Mapping

from safelight.bench.datasets.dataset import DatasetOptions, LoadedRequests
from safelight.bench.datasets.prompts import read_custom, read_prompts, read_vbench
from safelight.bench.datasets.random import read_random
from safelight.bench.datasets.shapes import read_shapes
from safelight.bench.datasets.trace import read_trace
from safelight.bench.errors import BadLoad
from safelight.core.errors import nearest, shorten

DATASETS: Mapping[str, Callable[[DatasetOptions], LoadedRequests]] = {
    "trace": read_trace,
    "random": read_random,
    "vbench": read_vbench,
    "prompts": read_prompts,
    "custom": read_custom,
    "shapes": read_shapes,
}


def read(dataset: str, wanted: DatasetOptions) -> LoadedRequests:
    """Return the requests of a dataset; raises BadLoad, TraceError."""
    if dataset not in DATASETS:
        raise BadLoad(f"No dataset is {shorten(dataset)}; {nearest(dataset, list(DATASETS))}")
    return DATASETS[dataset](wanted)
