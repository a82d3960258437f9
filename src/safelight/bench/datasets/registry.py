"""The family of datasets."""

from functools import cache

from safelight.bench.datasets.dataset import Dataset, DatasetOptions, LoadedRequests
from safelight.bench.datasets.prompts import CUSTOM, PROMPTS, VBENCH
from safelight.bench.datasets.random import RANDOM
from safelight.bench.datasets.shapes import SHAPES
from safelight.bench.datasets.trace import TRACE
from safelight.bench.errors import BadLoad
from safelight.core.entry_points import with_installed
from safelight.core.errors import nearest, shorten

DATASETS: tuple[Dataset, ...] = (TRACE, RANDOM, VBENCH, PROMPTS, CUSTOM, SHAPES)


@cache
def datasets() -> tuple[Dataset, ...]:
    """Return our own datasets, then installed ones; raises ExtensionError."""
    return with_installed("safelight.datasets", DATASETS)


def load_dataset(name: str, options: DatasetOptions) -> LoadedRequests:
    """Return the requests of the dataset of that name.

    Raises:
        BadLoad: if there is no such dataset, or its requests cannot be sent.
        TraceError: if a trace cannot be read.
        ExtensionError: if an installed dataset cannot be loaded.
    """
    for dataset in datasets():
        if dataset.name == name:
            return dataset.read(options)
    raise BadLoad(f"No dataset is {shorten(name)}; {nearest(name, [each.name for each in datasets()])}")
