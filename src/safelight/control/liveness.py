"""Tells workers that hang from workers that work, by what is heard of them.

| state | when | what follows |
| --- | --- | --- |
| suspected | silent for `suspected_s`, or no progress for a third of what it may take | it gets no new work |
| hung | silent for `hung_s`, or no progress for longer than it may take | it is killed |

Before a worker is ready, it is never suspected, and hung after `start_silence_s` or `start_stalled_s`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from safelight.core.work import Beat, WorkerEvent

BEAT_S: Final = 0.5
SUSPECTED_S: Final = 2.0
HUNG_S: Final = 10.0
TICK_S: Final = 30.0
TICK_FACTOR: Final = 20.0
START_SILENCE_S: Final = 60.0
START_STALLED_S: Final = 300.0

LEAST_BEAT_S: Final = 0.02
MOST_BEAT_S: Final = 60.0
SUSPECTED_SHARE: Final = 1 / 3
"""Of the time that an effect may take: then its worker is suspected."""

CHECKS_BEFORE_A_KILL: Final = 2
"""A worker is hung only if it still is so many checks later: whatever was in its pipe has been read by then."""


@dataclass(frozen=True, kw_only=True)
class LivenessLimits:
    """When a worker is suspected, and when it is hung; all in seconds.

    Attributes:
        beat_s: between two signs of life.
        suspected_s: of silence, until a worker gets no new work.
        hung_s: of silence, until it is killed.
        tick_s: without progress, until it is killed, if `tick_factor` times the longest effect that the profile
            predicts for its requests is shorter.
        start_silence_s: of silence, until a worker that is not ready yet is killed.
        start_stalled_s: without computing or reading anything, until a worker that is not ready yet is killed.
    """

    beat_s: float = BEAT_S
    suspected_s: float = SUSPECTED_S
    hung_s: float = HUNG_S
    tick_s: float = TICK_S
    tick_factor: float = TICK_FACTOR
    start_silence_s: float = START_SILENCE_S
    start_stalled_s: float = START_STALLED_S

    @property
    def flaw(self) -> str | None:
        """Why these limits make no sense together, or None."""
        if not LEAST_BEAT_S <= self.beat_s <= MOST_BEAT_S:
            return f"a sign of life is sent every {LEAST_BEAT_S:g} to {MOST_BEAT_S:g} s, not every {self.beat_s:g} s"
        if self.suspected_s < 2 * self.beat_s:
            return (
                f"a worker would be suspected after {self.suspected_s:g} s of silence, which is less than two of its "
                f"signs of life, every {self.beat_s:g} s"
            )
        if self.hung_s < self.suspected_s:
            return (
                f"a worker would hang after {self.hung_s:g} s of silence, before it is suspected after "
                f"{self.suspected_s:g} s"
            )
        shortest_s = min(self.tick_s, self.start_silence_s, self.start_stalled_s)
        if shortest_s < self.suspected_s:
            return (
                f"a limit of {shortest_s:g} s for a tick or a start is shorter than the silence of "
                f"{self.suspected_s:g} s after which a worker is suspected"
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a check has found about one worker, and why."""

    worker: str
    state: Literal["responds", "suspected", "hung"]
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class _Watched:
    """One worker; `heard_s` is on the clock of the time in which somebody listened."""

    heard_s: float
    busy_s: float = 0.0
    is_ready: bool = False
    beats: bool = False
    is_suspected: bool = False
    checks_hung: int = 0
    is_condemned: bool = False


class Liveness:
    """Watches workers; `check` is due at `next_check_s`.

    Silence counts only while somebody listens: a check that comes late, since the server itself was stopped or starved,
    counts as one interval. A ready worker that has never sent a `Beat` is not judged.
    """

    def __init__(self, limits: LivenessLimits | None = None) -> None:
        self.limits = limits or LivenessLimits()
        self._workers: dict[str, _Watched] = {}
        self._listened_s = 0.0
        self._checked_s = 0.0
        self.next_check_s: float | None = None

    def starting(self, worker: str, now: float) -> None:
        """Note that a worker begins to load its models."""
        known = self._workers[worker] = _Watched(heard_s=self._listened_s)
        self._plan(known, now)

    def joined(self, worker: str, now: float) -> None:
        """Note that a worker is ready."""
        known = self._workers.get(worker)
        if known is None:
            known = self._workers[worker] = _Watched(heard_s=self._listened_s)
        known.is_ready = True
        known.busy_s, known.checks_hung, known.heard_s = 0.0, 0, self._listened_s
        self._plan(known, now)

    def left(self, worker: str) -> None:
        """Forget a worker."""
        self._workers.pop(worker, None)
        if not any(map(_is_judged, self._workers.values())):
            self.next_check_s = None

    def heard(self, worker: str, event: WorkerEvent | None, now: float) -> None:
        """Note that an event of a worker has come, or a part of one."""
        known = self._workers.get(worker)
        if known is None:
            return
        known.heard_s = self._listened_s
        if isinstance(event, Beat):
            known.busy_s = event.busy_s
            if not known.beats:
                known.beats = True
                self._plan(known, now)
        elif event is not None:
            known.busy_s = 0.0

    def check(self, now: float, longest_effect_s: Callable[[str], float]) -> list[Change]:
        """Return what has changed, at most one change a worker.

        Args:
            now: as in all calls.
            longest_effect_s: returns the predicted seconds of the longest effect of a worker.
        """
        if self.next_check_s is None or now < self.next_check_s:
            return []
        self._listened_s += min(now - self._checked_s, self.limits.beat_s)
        judged = [(name, known) for name, known in self._workers.items() if _is_judged(known)]
        self._checked_s, self.next_check_s = now, now + self.limits.beat_s if judged else None
        found = (self._judge(name, known, longest_effect_s) for name, known in judged)
        return [change for change in found if change is not None]

    def _judge(self, name: str, known: _Watched, longest_effect_s: Callable[[str], float]) -> Change | None:
        if known.is_condemned:
            return None
        silence_s = self._listened_s - known.heard_s
        may_take_s = self._may_take_s(name, known, longest_effect_s)
        longest_silence_s = self.limits.hung_s if known.is_ready else self.limits.start_silence_s
        if silence_s >= longest_silence_s or known.busy_s >= may_take_s:
            known.checks_hung += 1
        else:
            known.checks_hung = 0
        if known.checks_hung > CHECKS_BEFORE_A_KILL:
            known.is_condemned = True
            return Change(worker=name, state="hung", reason=_reason(silence_s, known.busy_s))
        is_doubtful = silence_s >= self.limits.suspected_s or known.busy_s >= may_take_s * SUSPECTED_SHARE
        if known.is_ready and is_doubtful != known.is_suspected:
            known.is_suspected = is_doubtful
            reason = _reason(silence_s, known.busy_s) if is_doubtful else ""
            return Change(worker=name, state="suspected" if is_doubtful else "responds", reason=reason)
        return None

    def _may_take_s(self, name: str, known: _Watched, longest_effect_s: Callable[[str], float]) -> float:
        """Return how long the worker may be busy without progress."""
        if not known.is_ready:
            return self.limits.start_stalled_s
        if known.busy_s < self.limits.tick_s * SUSPECTED_SHARE:
            return self.limits.tick_s
        return max(self.limits.tick_s, self.limits.tick_factor * longest_effect_s(name))

    def _plan(self, known: _Watched, now: float) -> None:
        if self.next_check_s is None and _is_judged(known):
            self._checked_s, self.next_check_s = now, now + self.limits.beat_s


def _is_judged(known: _Watched) -> bool:
    return known.beats or not known.is_ready


def _reason(silence_s: float, busy_s: float) -> str:
    if silence_s >= busy_s:
        return f"nothing was heard of it for {silence_s:.3g} s"
    return f"it has made no progress for {busy_s:.3g} s"
