"""What became of each request."""

import msgspec

from safelight.bench.requests import LoadRequest


class GenerationResult(msgspec.Struct, kw_only=True, gc=False):
    """What a server gave for one request.

    Attributes:
        pictures: base64 text, or the bytes of files.
        format: as the answer tells it.
        is_video: whether they are videos.
        done_s: when the last byte was there, by `line.clock_s`.
        previews_s: when previews came, likewise.
        queue_s, compute_s, stages_s, peak_memory_mb: as the server tells.
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
    """One request and its end; times are seconds from the load's start.

    Attributes:
        ask: what was sent.
        due_s: when it should have been sent.
        freed_s: when it was its turn: as due, or once the limit of requests in flight let it through.
        sent_s: when it was sent.
        done_s: when the answer was whole, or the request had failed.
        failure: the kind; "" is success, and "cancelled" means that the run ended before the answer.
        turned_away: how often the server had no room.
        scene_score: share of the caption's facts that hold in the picture.
        is_still: whether all frames of a video are alike.
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
        """Whether a picture came, and was a good one where pictures are checked."""
        return not self.failure

    @property
    def latency_s(self) -> float:
        """From when it was its turn, whether or not the client was on time."""
        return self.done_s - self.released_s

    @property
    def send_lag_s(self) -> float:
        """By how much the client was late."""
        return self.sent_s - self.released_s

    @property
    def wait_s(self) -> float:
        """How long the limit of requests in flight held it back."""
        return self.released_s - self.due_s

    @property
    def since_due_s(self) -> float:
        """From when it should have been sent, whatever held it back."""
        return self.done_s - self.due_s

    @property
    def has_met(self) -> bool:
        """Whether it was served within its deadline; there must be one."""
        assert self.request.deadline_s is not None
        return self.is_success and self.latency_s <= self.request.deadline_s

    @property
    def has_met_since_due(self) -> bool:
        """Whether it was served within its deadline from when it was due; there must be one."""
        assert self.request.deadline_s is not None
        return self.is_success and self.since_due_s <= self.request.deadline_s
