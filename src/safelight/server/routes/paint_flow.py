"""The path from a validated body to the pictures in its response, for the image routes and the chat route."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.bodies import HeldBody, body_of
from safelight.server.callers import caller_of
from safelight.server.idempotency import RepeatableRequest, repeatable
from safelight.server.shared_response import SharedResponse
from safelight.server.state import ServerState, model_of, state_of
from safelight.server.wire.options import PaintOptions
from safelight.service.pending import PendingPicture

REPLAYED = {"idempotent-replayed": "true"}
PICTURE_IDS_HEADER = "x-safelight-picture-ids"
"""The header with the ids of the pictures in the queue, so that a waiting client can cancel them."""

STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@dataclass(frozen=True, kw_only=True)
class AcceptedPictures:
    """The queued pictures of one request."""

    state: ServerState
    pictures: Sequence[PendingPicture]


@dataclass(frozen=True, kw_only=True)
class PaintCall:
    """A route's request for pictures, and how its response is made.

    Attributes:
        body: repetitions of a request are known by it.
        model: the name or alias of a served model; the first one when None.
        image_requests: makes the requests for pictures, for a model and a time of arrival; raises RequestError.
        has_pictures: whether `image_requests` decodes pictures, which is done in a thread.
        chunks: makes the response body of accepted pictures.
        outlives_client: whether the work continues when the client disconnects.
        is_stream: whether each chunk is sent when it is made.
        partial_images: how many previews are kept for the response.
    """

    body: PaintOptions
    model: str | None
    image_requests: Callable[[ModelSpec, float], tuple[ImageRequest, ...]]
    has_pictures: bool
    chunks: Callable[[AcceptedPictures], AsyncIterator[bytes]]
    outlives_client: bool
    is_stream: bool = False
    partial_images: int = 0


async def paint(call: PaintCall, request: Request) -> Response:
    """Return the response when all pictures are ready, or at once for a stream; a repeated request joins the first.

    Raises:
        SafelightError: if the pictures are refused or fail.
    """
    state = state_of(request)
    body = body_of(request)
    identity = await body.run(partial(repeatable, request, call.body))
    if identity is not None and (known := state.responses.find(identity)) is not None:
        _drop_inputs(call, body)
        return await _send(known, call, request, is_replay=True)
    state.service.check_open()
    model = model_of(call.model, state)
    make_requests = partial(call.image_requests, model, state.service.now_s)
    if call.has_pictures:
        image_requests = await state.encoder.decode(make_requests)
        # The same request may have come meanwhile.
        if identity is not None and (known := state.responses.find(identity)) is not None:
            _drop_inputs(call, body)
            return await _send(known, call, request, is_replay=True)
    else:
        image_requests = make_requests()
    _drop_inputs(call, body)
    tenant = caller_of(request.scope).tenant
    owned = [msgspec.structs.replace(each, tenant=tenant) for each in image_requests] if tenant else image_requests
    prepared = await state.service.reuse.prepare(owned)
    if identity is not None and (known := state.responses.find(identity)) is not None:
        return await _send(known, call, request, is_replay=True)
    # From here to the shared response nothing waits.
    pictures = state.service.submit(owned, partial_images=call.partial_images, prepared=prepared)
    shared = _share(call, AcceptedPictures(state=state, pictures=pictures), identity)
    return await _send(shared, call, request, is_replay=False)


def _share(call: PaintCall, accepted: AcceptedPictures, identity: RepeatableRequest | None) -> SharedResponse:
    """Start to make the response, and keep it for repetitions if the client gave a key."""
    headers = {PICTURE_IDS_HEADER: ",".join(picture.request.id for picture in accepted.pictures)}
    chunks = call.chunks(accepted)
    if identity is None:
        return SharedResponse(chunks, headers=headers, outlives_readers=call.outlives_client)
    store = accepted.state.responses
    settle = partial(store.settle, identity)
    shared = SharedResponse(chunks, headers=headers, outlives_readers=call.outlives_client, on_end=settle)
    store.put(identity, shared)
    return shared


def _drop_inputs(call: PaintCall, body: HeldBody) -> None:
    """Free the memory of a request's body, before its pictures wait."""
    call.body.drop_inputs()
    body.release()


async def _send(shared: SharedResponse, call: PaintCall, request: Request, *, is_replay: bool) -> Response:
    """Return the HTTP response with `shared`; raises the error of its work."""
    headers = {**shared.headers, **(REPLAYED if is_replay else {})}
    if call.is_stream:
        return StreamingResponse(shared.read(), media_type="text/event-stream", headers=STREAM_HEADERS | headers)
    departure = asyncio.ensure_future(_departure(request))
    try:
        body = await shared.whole(unless=departure)
    finally:
        departure.cancel()
    return Response(body, media_type="application/json", headers=headers)


async def _departure(request: Request) -> None:
    """Return when the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
