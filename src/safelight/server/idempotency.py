"""`Idempotency-Key`: the same request sent again gets the same answer, and is painted once.

After draft-ietf-httpapi-idempotency-key-header: a key used again with another body is refused (422);
a repetition of a request that still runs joins it.
"""

from collections import OrderedDict
from dataclasses import dataclass

from safelight.server.errors import HttpError
from safelight.server.shared_response import Answer


@dataclass(frozen=True, kw_only=True)
class Repeatable:
    """What tells one request from another: who sent it, under which key, and the meaning of its body."""

    caller: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, kw_only=True)
class _Entry:
    fingerprint: bytes
    answer: Answer


class AnswerStore:
    """Holds answers by caller and key, running ones always, finished ones within a number and a sum of bytes."""

    def __init__(self, *, max_answers: int, max_bytes: int) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def find(self, request: Repeatable) -> Answer | None:
        """Return the answer that `request` repeats, if any; raises HttpError for a key used with another body."""
        entry = self._entries.get((request.caller, request.key))
        if entry is None:
            return None
        if entry.fingerprint != request.fingerprint:
            raise HttpError(
                f"The Idempotency-Key {request.key!r} was used before with another body; take a new key.",
                status=422,
                param="Idempotency-Key",
                code="idempotency_key_reused",
            )
        return entry.answer

    def put(self, request: Repeatable, answer: Answer) -> None:
        """Keep `answer` for repetitions of `request`."""
        self._entries[request.caller, request.key] = _Entry(fingerprint=request.fingerprint, answer=answer)

    def settle(self, request: Repeatable, answer: Answer) -> None:
        """Note that `answer` has ended: a failed one is forgotten, so that a new try runs again."""
        place = (request.caller, request.key)
        if not answer.is_whole and place in self._entries and self._entries[place].answer is answer:
            del self._entries[place]
        self._trim()

    def _trim(self) -> None:
        finished = {place: entry.answer.bytes_held for place, entry in self._entries.items() if entry.answer.is_over}
        count, held = len(finished), sum(finished.values())
        for place, size in finished.items():
            if count <= self._max_answers and (held <= self._max_bytes or count == 1):
                return
            del self._entries[place]
            count, held = count - 1, held - size
