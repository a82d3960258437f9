"""The result of each request."""

import msgspec

from safelight.bench.requests import LoadRequest

CANCELLED = "cancelled"
"""The failure of a request that had no answer when the run ended early."""


class GenerationResult(msgspec.Struct, kw_only=True, gc=False):
    """What a server returned for one request.

    Attributes:
        pictures: base64 text, or the bytes of files.
        format: as the answer states it.
        is_video: whether `pictures` are videos.
        done_s: when the last byte arrived, by `http_client.clock_s`.
        previews_s: when previews arrived, by the same clock.
        queue_s: as the server reports it, like `compute_s`, `stages_s` and `peak_memory_mb`.
    """

    pictures: list[str | bytes]
    format: str | None = None
    is_video: bool = False
    done_s: float
    previews_s: list[float] = []
    queue_s: float | None = None
    compute_s: float | None = None
    stages_s: dict[str, float] | None = None
    peak_memory_mb: float | None = None


class Record(msgspec.Struct, kw_only=True, gc=False):
    """One request and its result; times are seconds since the start of the load.

    Attributes:
        request: what was sent.
        due_s: when the request should have been sent.
        released_s: when the client could send it: at its due time, or once the concurrency limit let it through.
        sent_s: when it was sent.
        done_s: when the whole answer had arrived, or the request had failed.
        failure: the kind of failure; "" is success, and `CANCELLED` means that the run ended before the answer.
        turned_away: how often the server rejected it for want of capacity.
        scene_score: share of the caption's facts that hold in the picture.
        is_still: whether all frames of a video are equal.
    """

    request: LoadRequest
    due_s: float
    released_s: float
    sent_s: float
    done_s: float = 0.0
    failure: str = ""
    message: str = ""
    turned_away: int = 0
    first_preview_s: float | None = None
    previews: int = 0
    queue_s: float | None = None
    compute_s: float | None = None
    stages_s: dict[str, float] | None = None
    peak_memory_mb: float | None = None
    scene_score: float | None = None
    is_still: bool = False

    @property
    def is_success(self) -> bool:
        """Whether a picture arrived, and passed the checks if there are any."""
        return not self.failure

    @property
    def latency_s(self) -> float:
        """Time since the client could send the request, whether or not it sent it on time."""
        return self.done_s - self.released_s

    @property
    def send_lag_s(self) -> float:
        """How late the client sent the request."""
        return self.sent_s - self.released_s

    @property
    def wait_s(self) -> float:
        """How long the concurrency limit delayed the request."""
        return self.released_s - self.due_s

    @property
    def since_due_s(self) -> float:
        """Time since the due time."""
        return self.done_s - self.due_s

    @property
    def has_met(self) -> bool:
        """Whether it succeeded within its deadline; there must be one."""
        assert self.request.deadline_s is not None
        return self.is_success and self.latency_s <= self.request.deadline_s

    @property
    def has_met_since_due(self) -> bool:
        """Whether it succeeded within its deadline, counted from the due time; there must be one."""
        assert self.request.deadline_s is not None
        return self.is_success and self.since_due_s <= self.request.deadline_s
