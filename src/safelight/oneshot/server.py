"""Requests to a running server: for a picture, or to add or remove an adapter."""

import base64
from contextlib import closing
from http import HTTPStatus
from urllib.parse import quote

from safelight.api.connection import Connection
from safelight.api.errors import NotSafelight, RequestRefused
from safelight.api.wire import Event, models_of
from safelight.oneshot.picture import Body, Painted, Progress

PARTIALS = 3
"""How many previews are requested, to show progress."""

HELLO_S = 2.0
"""Timeout of the first contact with a server."""

PAINT_S = 600.0
"""The longest silence of a server while it paints."""

_ACCESS_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses of Safelight's answer to a key that is missing, wrong, or of another role."""

READ_S = 90.0
"""Timeout until a worker of the server has read an adapter."""


def greet(url: str, *, api_key: str | None) -> None:
    """Check that Safelight answers at `url`.

    Raises:
        NoAnswer: if no server answers.
        NotSafelight: if another server answers.
        RequestRefused: if the key is missing or wrong.
    """
    with _connected(url, api_key=api_key, within_s=HELLO_S) as connection:
        try:
            models_of(connection.request("GET", "/v1/models"), url=url)
        except RequestRefused as refusal:
            if refusal.status in _ACCESS_REFUSED:
                raise
            raise NotSafelight(url) from None


def paint_there(body: Body, *, url: str, api_key: str | None, progress: Progress) -> Painted:
    """Let the server at `url` paint the picture of `body`.

    Raises:
        ServerError: if it cannot be reached, or refuses.
        WorkFailed: if painting fails.
    """
    asked = body | {"stream": True, "partial_images": PARTIALS}
    route = "edits" if "image" in body else "generations"
    with (
        _connected(url, api_key=api_key, within_s=PAINT_S) as connection,
        closing(connection.events(f"/v1/images/{route}", asked)) as events,
    ):
        for event in events:
            if event.safelight is not None:
                progress(PARTIALS + 1, PARTIALS + 1)
                return _painted(event, url=url)
            progress(event.partial_image_index + 1, PARTIALS + 1)
    raise AssertionError("a stream ends with a picture or an error")


def announce_adapter(name: str, *, url: str, api_key: str | None) -> None:
    """Let the server at `url` load an adapter from one of its folders.

    Raises:
        ServerError: if it cannot be reached, or refuses.
    """
    with _connected(url, api_key=api_key, within_s=READ_S) as connection:
        connection.request("POST", "/v1/adapters", {"name": name})


def reuse_view(*, url: str, api_key: str | None) -> bytes:
    """Return what the server at `url` keeps for reuse, as JSON.

    Raises:
        ServerError: if it cannot be reached, or refuses.
    """
    with _connected(url, api_key=api_key, within_s=READ_S) as connection:
        return connection.request("GET", "/v1/reuse")


def withdraw_adapter(name: str, *, url: str, api_key: str | None) -> None:
    """Let the server at `url` remove an adapter; it is no error if the server does not have it.

    Raises:
        ServerError: if it cannot be reached, or refuses.
    """
    with _connected(url, api_key=api_key, within_s=READ_S) as connection:
        try:
            connection.request("DELETE", f"/v1/adapters/{quote(name, safe='')}")
        except RequestRefused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise


def _connected(url: str, *, api_key: str | None, within_s: float) -> closing[Connection]:
    return closing(Connection(url, api_key=api_key, timeout_s=within_s, connect_timeout_s=within_s))


def _painted(event: Event, *, url: str) -> Painted:
    made = event.safelight
    assert made is not None
    return Painted(
        content=base64.b64decode(event.b64_json),
        by=url,
        model=made.model,
        steps=made.steps,
        steps_run=made.steps_run,
        steps_without_loras=sum(picture.steps_without_loras for picture in made.images),
        seed=made.seed,
        sampler=made.sampler,
        seconds=made.queue_s + made.compute_s,
        quality=made.quality,
    )
