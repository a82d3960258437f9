"""The configuration of a run, and its result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from safelight.bench.client.http_client import ServerConfig
from safelight.bench.deadlines import SCALE, ServiceTimeEstimate
from safelight.bench.endpoints.endpoint import Endpoint, RequestOptions
from safelight.bench.media.videos import NOT_DECODED, Decode
from safelight.bench.records import CANCELLED, Record
from safelight.bench.requests import LoadRequest


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run sends, and how it checks the answers.

    Attributes:
        server: the server under test.
        endpoint: the endpoint that requests go to.
        options: what all requests have in common.
        requests: sorted by `due_s`.
        max_concurrency: limit of requests in flight; None means no limit.
        retries: how often a rejected request is sent again.
        warm_up_rounds: warm-up requests of each shape, sent before the clock starts.
        warm_up_steps: denoising steps of a warm-up request.
        warm_up_concurrency: limit of warm-up requests in flight.
        estimator: how missing deadlines are estimated; None leaves them out.
        slo_scale: a deadline is this many times the estimate.
        checks_pictures: whether every picture and video is decoded and checked.
        decode: decodes videos; with None, only the structure of a video file is checked.
        scores_scenes: whether pictures are scored by their captions.
        save_to: the folder in which pictures are saved; None saves none.
    """

    server: ServerConfig
    endpoint: Endpoint
    options: RequestOptions
    requests: Sequence[LoadRequest] = field(repr=False)  # may be very many, and asyncio prints what tasks return
    max_concurrency: int | None = None
    retries: int = 0
    warm_up_rounds: int = 1
    warm_up_steps: int = 2
    warm_up_concurrency: int = 1
    estimator: str | None = None
    slo_scale: float = SCALE
    checks_pictures: bool = True
    decode: Decode | None = None
    scores_scenes: bool = False
    save_to: Path | None = None

    @property
    def is_for_videos(self) -> bool:
        """Whether the answers are videos."""
        return self.endpoint.returns_videos

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about how answers are checked, for readers of the metrics."""
        return [NOT_DECODED] if self.is_for_videos and self.checks_pictures and self.decode is None else []


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of a run.

    Attributes:
        records: one for each request that was sent, sorted by due time, then by send time.
        duration_s: from the due time of the first request to the last answer.
        unsent: requests that were not sent because the run ended early.
        unchecked: requests whose pictures were not checked.
        was_cut: whether pictures were left unchecked because the run ended early.
        began_at: Unix time of the start; 0 if the run did not start.
        estimate: what missing deadlines were estimated from, if they were.
    """

    config: RunConfig
    records: Sequence[Record] = field(repr=False)
    duration_s: float
    unsent: int = 0
    unchecked: int = 0
    was_cut: bool = False
    began_at: float
    estimate: ServiceTimeEstimate | None = None

    @property
    def is_partial(self) -> bool:
        """Whether the run ended early."""
        return self.was_cut or self.unsent > 0 or len(self.ended) < len(self.records)

    @cached_property
    def ended(self) -> Sequence[Record]:
        """Records of requests that were answered or failed."""
        return [record for record in self.records if record.failure != CANCELLED]

    @property
    def has_hidden_waits(self) -> bool:
        """Whether the concurrency limit may have delayed requests beyond their due times, which latencies leave out."""
        return self.config.max_concurrency is not None and any(record.due_s > 0 for record in self.records)

    @property
    def is_one_burst(self) -> bool:
        """Whether all requests were sent at once, without an effective concurrency limit."""
        limit = self.config.max_concurrency
        has_no_limit = limit is None or limit >= len(self.records)
        return has_no_limit and len({record.due_s for record in self.records}) <= 1
