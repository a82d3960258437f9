"""How an answer gets to its clients: whole or as a stream, to those who repeat it too, never to those who left."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated

from fastapi import Header, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from safelight.server.idempotency import AnswerStore, Repeatable
from safelight.server.middleware.auth import caller_of
from safelight.server.shared_response import Answer
from safelight.service.pending import PendingPicture

REPLAYED = {"idempotent-replayed": "true"}
PICTURE_IDS_HEADER = "x-safelight-picture-ids"
"""The pictures' names in the queue, so that whoever waits can cancel them there."""

STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Names this request: sent again, with the same body, it gets the same answer without new work.",
    ),
]


def repeatable(request: Request, key: str | None, body: BaseModel) -> Repeatable | None:
    """Return what tells this request from others, or None when its client gave no key."""
    if key is None:
        return None
    meaning = f"{request.url.path}\n{body.model_dump_json()}"
    fingerprint = hashlib.sha256(meaning.encode()).digest()
    return Repeatable(caller=caller_of(request.scope), key=key, fingerprint=fingerprint)


def make_answer(
    chunks: AsyncIterator[bytes],
    *,
    tickets: Sequence[PendingPicture],
    store: AnswerStore,
    name: Repeatable | None,
    outlives_readers: bool,
) -> Answer:
    """Start making the answer about `tickets`, and keep it for repetitions if it has a name."""
    headers = {PICTURE_IDS_HEADER: ",".join(ticket.request.id for ticket in tickets)}
    if name is None:
        return Answer(chunks, headers=headers, outlives_readers=outlives_readers)
    answer = Answer(chunks, headers=headers, outlives_readers=outlives_readers, on_end=partial(store.settle, name))
    store.put(name, answer)
    return answer


async def reply(request: Request, answer: Answer, *, is_stream: bool, is_replay: bool) -> Response:
    """Return the response that carries `answer`; raises what its making raised."""
    headers = {**answer.headers, **(REPLAYED if is_replay else {})}
    if is_stream:
        return StreamingResponse(answer.read(), media_type="text/event-stream", headers=STREAM_HEADERS | headers)
    body = await _whole_unless_gone(request, answer)
    return Response(body, media_type="application/json", headers=headers)


async def _whole_unless_gone(request: Request, answer: Answer) -> bytes:
    """Return the whole body; when the client goes away first, stop reading and return nothing, since nobody listens."""
    reading = asyncio.ensure_future(answer.whole())
    leaving = asyncio.ensure_future(_departure(request))
    try:
        await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else b""
    finally:
        for task in (reading, leaving):
            task.cancel()
        await asyncio.gather(reading, leaving, return_exceptions=True)


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
