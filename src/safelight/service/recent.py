"""Recent throughput and latencies."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_S = 60.0
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Pictures per second over the window, and how long they took from arrival, in seconds."""

    throughput_per_s: float
    latency_p50_s: float | None
    latency_p95_s: float | None


class RecentPictures:
    """Remembers when pictures were ready, for the last `WINDOW_S` seconds."""

    def __init__(self, *, now_s: float) -> None:
        self._since_s = now_s
        self._finished: deque[tuple[float, float, tuple[str, ...]]] = deque(maxlen=MAX_REMEMBERED)

    def add(self, *, now_s: float, total_s: float, levels: tuple[str, ...] = ()) -> None:
        """Note a picture that took `total_s`; `levels` are the models of a cascade that painted it, in order."""
        self._finished.append((now_s, total_s, levels))

    def levels(self) -> Mapping[tuple[str, ...], int]:
        """Return how many pictures of cascades each levels have painted, over the window of the last `pace`."""
        return Counter(levels for _, _, levels in self._finished if levels)

    def pace(self, *, now_s: float) -> Pace:
        """Return the pace over the window, or since the start if that is shorter."""
        while self._finished and self._finished[0][0] < now_s - WINDOW_S:
            self._finished.popleft()
        latencies = sorted(total_s for _, total_s, _ in self._finished)
        span_s = max(1.0, min(WINDOW_S, now_s - self._since_s))
        return Pace(
            throughput_per_s=len(latencies) / span_s,
            latency_p50_s=_quantile(latencies, 0.5),
            latency_p95_s=_quantile(latencies, 0.95),
        )


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
