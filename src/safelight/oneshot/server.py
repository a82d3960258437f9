"""Requests to a running server: for a picture, or to add or remove an adapter.

SafelightError
└── ServerError
    ├── ServerSilent          no server answers at the address
    ├── NotSafelight          another server answers
    └── Refused               the server refuses the request; its own message
"""

import base64
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import quote

import httpx2
import msgspec

from safelight.core.errors import SafelightError, WorkFailed
from safelight.oneshot.picture import Body, Painted, Progress

PARTIALS = 3
"""How many previews are requested, to show progress."""

HELLO_S = 2.0
"""Timeout of the first contact with a server."""

PAINT_S = 600.0
"""The longest silence of a server while it paints."""

READ_S = 90.0
"""Timeout until a worker of the server has read an adapter."""


class ServerError(SafelightError):
    """A request to a server failed."""


class ServerSilent(ServerError):
    """No server answers."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"No server answers at {url} ({reason}); start one with `safelight serve`.")


class NotSafelight(ServerError):
    """The server that answers is not Safelight."""

    def __init__(self, url: str) -> None:
        super().__init__(f"What answers at {url} is not Safelight; name its address with --server.")


class Refused(ServerError):
    """The server refuses the request; the message is its own."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.is_misuse = status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}


class _Origin(msgspec.Struct):
    class Picture(msgspec.Struct):
        steps_without_loras: int = 0

    model: str
    steps: int
    steps_run: int
    seed: int
    sampler: str
    queue_s: float
    compute_s: float
    images: tuple[Picture, ...] = ()


class _Problem(msgspec.Struct):
    message: str
    code: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    partial_image_index: int = 0
    b64_json: str = ""
    safelight: _Origin | None = None
    error: _Problem | None = None


class _Models(msgspec.Struct):
    class Card(msgspec.Struct):
        safelight: dict[str, object]

    data: list[Card]


def greet(url: str, *, api_key: str | None) -> None:
    """Check that Safelight answers at `url`.

    Raises:
        ServerSilent: if no server answers.
        NotSafelight: if another server answers.
        Refused: if the key is missing or wrong.
    """
    try:
        answer = httpx2.get(f"{url}/v1/models", headers=_headers(api_key), timeout=HELLO_S)
    except (httpx2.TransportError, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise ServerSilent(url, str(error) or type(error).__name__) from None
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        raise Refused(_words(answer.content), status=answer.status_code)
    try:
        msgspec.json.decode(answer.content, type=_Models)
    except msgspec.DecodeError:
        raise NotSafelight(url) from None


def paint_there(body: Body, *, url: str, api_key: str | None, progress: Progress) -> Painted:
    """Let the server at `url` paint the picture of `body`.

    Raises:
        ServerError: if it cannot be reached, or refuses.
        WorkFailed: if painting fails.
    """
    asked = body | {"stream": True, "partial_images": PARTIALS}
    route = "edits" if "image" in body else "generations"
    try:
        with httpx2.stream(
            "POST", f"{url}/v1/images/{route}", json=asked, headers=_headers(api_key), timeout=PAINT_S
        ) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise Refused(_words(answer.read()), status=answer.status_code)
            return _follow(_events(answer.iter_lines()), url=url, progress=progress)
    except httpx2.TransportError as error:
        raise ServerSilent(url, str(error) or type(error).__name__) from None


def announce_adapter(name: str, *, url: str, api_key: str | None) -> None:
    """Let the server at `url` load an adapter from one of its folders.

    Raises:
        ServerError: if it cannot be reached, or refuses.
    """
    _tell("POST", url, "/v1/adapters", api_key=api_key, body={"name": name})


def withdraw_adapter(name: str, *, url: str, api_key: str | None) -> None:
    """Let the server at `url` remove an adapter; it is no error if the server does not have it.

    Raises:
        ServerError: if it cannot be reached, or refuses.
    """
    try:
        _tell("DELETE", url, f"/v1/adapters/{quote(name, safe='')}", api_key=api_key)
    except Refused as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise


def _tell(method: str, url: str, path: str, *, api_key: str | None, body: Body | None = None) -> None:
    try:
        answer = httpx2.request(method, f"{url}{path}", json=body, headers=_headers(api_key), timeout=READ_S)
    except httpx2.TransportError as error:
        raise ServerSilent(url, str(error) or type(error).__name__) from None
    if not answer.is_success:
        raise Refused(_words(answer.content), status=answer.status_code)


def _headers(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _words(content: bytes) -> str:
    try:
        problem = msgspec.json.decode(content, type=_Event).error
    except msgspec.DecodeError:
        problem = None
    return problem.message if problem else "The server refuses, and does not say why."


def _events(lines: Iterable[str]) -> Iterator[_Event]:
    """Yield server-sent events that carry an object."""
    for line in lines:
        if line.startswith("data: {"):
            yield msgspec.json.decode(line.removeprefix("data: "), type=_Event)


def _follow(events: Iterable[_Event], *, url: str, progress: Progress) -> Painted:
    for event in events:
        if event.error is not None:
            raise WorkFailed(event.error.message, reason=event.error.code or "failed")
        if event.type.endswith(".partial_image"):
            progress(event.partial_image_index + 1, PARTIALS + 1)
        elif event.safelight is not None:
            progress(PARTIALS + 1, PARTIALS + 1)
            return Painted(
                content=base64.b64decode(event.b64_json),
                by=url,
                model=event.safelight.model,
                steps=event.safelight.steps,
                steps_run=event.safelight.steps_run,
                steps_without_loras=sum(picture.steps_without_loras for picture in event.safelight.images),
                seed=event.safelight.seed,
                sampler=event.safelight.sampler,
                seconds=event.safelight.queue_s + event.safelight.compute_s,
            )
    raise WorkFailed(f"The server at {url} hung up before the picture was ready.", reason="hung_up")
