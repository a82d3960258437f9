"""What a command line wants of a dataset."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from safelight.bench.datasets.published import Sources
from safelight.bench.errors import BadLoad
from safelight.bench.requests import LoadRequest, Shape, Task
from safelight.core.errors import shorten


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    """What requests are to be like where a dataset leaves it open.

    Attributes:
        task: what is wanted.
        count: of requests.
        path: of the dataset, in its own words.
        sources: of what is published, for datasets that need no path.
        shape: of requests.
        seed: the same for every picture; None leaves it to the server.
        fps: of videos.
        has_negative_prompts: give requests that have none a negative prompt.
        profiles: JSON with shapes and their weights, for random requests.
        uses_adapters: ask for the LoRAs and ControlNets of a trace.
        is_lenient: leave out rows of a trace that cannot be read.
        rng: the only source of luck.
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
        """Return the file that was named; raises BadLoad if none was, or if it is not there."""
        if self.path is None:
            raise BadLoad(f"--dataset {dataset} needs a file; name it with --dataset-path.{hint}")
        path = Path(self.path)
        if not path.exists():
            raise BadLoad(f"There is no file {shorten(self.path)} for --dataset {dataset}.{hint}")
        return path


@dataclass(frozen=True, kw_only=True)
class LoadedRequests:
    """What a dataset gave.

    Attributes:
        asks: in their order, yet without times, unless `has_times`.
        has_times: `due_s` is what a trace says, from 0.
        is_of_scenes: prompts are captions of scenes, by which pictures can be scored.
        sha256: of the files, by which other runs know that they had the same; None if there are none.
        notes: what else to know, in sentences.
    """

    requests: Sequence[LoadRequest]
    has_times: bool = False
    is_of_scenes: bool = False
    sha256: str | None = None
    notes: Sequence[str] = ()


def plain(wanted: DatasetOptions, prompts: Sequence[str]) -> LoadedRequests:
    """Return requests with these prompts, over and over."""
    return LoadedRequests(requests=list(_plain(wanted, prompts)))


def _plain(wanted: DatasetOptions, prompts: Sequence[str]) -> Iterator[LoadRequest]:
    for number in range(wanted.count):
        yield LoadRequest(
            request_id=f"bench-{number}",
            prompt=prompts[number % len(prompts)],
            negative_prompt=negative(number) if wanted.has_negative_prompts else None,
            shape=wanted.shape,
            seed=wanted.seed,
            fps=wanted.fps,
        )


def negative(number: int) -> str:
    """Return a negative prompt."""
    return f"Negative prompt {number} for benchmarking diffusion models"
