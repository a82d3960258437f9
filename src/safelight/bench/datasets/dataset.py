"""What a dataset is: options in, requests out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from safelight.bench.datasets.published import Sources
from safelight.bench.errors import BadLoad
from safelight.bench.media.shape import Shape
from safelight.bench.requests import LoadRequest, Task
from safelight.core.errors import shorten


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    """What the command line asks of a dataset.

    Attributes:
        task: what the requests are for.
        count: the number of requests; a trace may have fewer.
        path: `--dataset-path`, which each dataset reads in its own way.
        sources: where published files come from, for datasets that need no path.
        shape: of requests for which the dataset has none.
        seed: of every picture; None leaves it to the server.
        fps: of videos.
        has_negative_prompts: whether requests without a negative prompt get one.
        profiles: JSON with shapes and their weights, for `random`.
        uses_adapters: whether requests ask for the LoRAs and ControlNets of a trace.
        is_lenient: whether rows of a trace that cannot be read are left out.
        rng: the only source of randomness.
    """

    task: Task
    count: int
    path: str | None = None
    sources: Sources
    shape: Shape = field(default_factory=Shape)
    seed: int | None = None
    fps: int | None = None
    has_negative_prompts: bool = False
    profiles: str | None = None
    uses_adapters: bool = True
    is_lenient: bool = False
    rng: np.random.Generator

    def file(self, dataset: str, *, hint: str = "") -> Path:
        """Return the file of `path`; raises BadLoad if there is no path, or no such file."""
        if self.path is None:
            raise BadLoad(f"--dataset {dataset} needs a file; name it with --dataset-path.{hint}")
        path = Path(self.path)
        if not path.exists():
            raise BadLoad(f"There is no file {shorten(self.path)} for --dataset {dataset}.{hint}")
        return path


@dataclass(frozen=True, kw_only=True)
class LoadedRequests:
    """The requests of a dataset.

    Attributes:
        requests: in their order; `due_s` is only valid if `has_times`.
        has_times: whether `due_s` holds the arrival times of a trace, starting at 0.
        is_of_scenes: whether prompts are captions of scenes, by which pictures can be scored.
        sha256: of the dataset's files, to recognise equal data; None if there are no files.
        notes: sentences for the user.
    """

    requests: Sequence[LoadRequest]
    has_times: bool = False
    is_of_scenes: bool = False
    sha256: str | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A source of requests. Installed packages add datasets under the entry point group `safelight.datasets`.

    Attributes:
        name: what `--dataset` calls it.
        read: returns the requests; raises BadLoad if they cannot be sent.
    """

    name: str
    read: Callable[[DatasetOptions], LoadedRequests]


def from_prompts(options: DatasetOptions, prompts: Sequence[str]) -> LoadedRequests:
    """Return requests with these prompts, repeated if there are too few."""
    return LoadedRequests(requests=list(_requests_from(options, prompts)))


def _requests_from(options: DatasetOptions, prompts: Sequence[str]) -> Iterator[LoadRequest]:
    for number in range(options.count):
        yield LoadRequest(
            request_id=f"bench-{number}",
            prompt=prompts[number % len(prompts)],
            negative_prompt=negative_prompt_of(number) if options.has_negative_prompts else None,
            shape=options.shape,
            seed=options.seed,
            fps=options.fps,
        )


def negative_prompt_of(number: int) -> str:
    """Return a numbered negative prompt."""
    return f"Negative prompt {number} for benchmarking diffusion models"
