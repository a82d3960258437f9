"""A blocking client of a Safelight server."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self, Unpack
from urllib.parse import quote

from safelight.api.connection import CONNECT_TIMEOUT_S, TIMEOUT_S, Connection, new_key
from safelight.api.options import (
    EDITS,
    GENERATIONS,
    GenerationOptions,
    ImageInput,
    edit_body,
    generation_body,
    stream_request,
)
from safelight.api.picture import Picture, Preview, pictures_of, shown
from safelight.api.wire import Adapters, Images, Queue, ServedAdapter, ServedModel, decode, models_of

DEFAULT_URL = "http://127.0.0.1:8000"

PREVIEWS = 3


class Client:
    """Sends requests to a server and waits for the answers; several threads may use one.

    A request for pictures whose connection is lost is sent once more, under the same Idempotency-Key, so that it is
    generated once. Nothing else is repeated: a `ServerBusy` says when to try again.

    All methods raise:
        ServerError: if the server cannot be reached, or refuses the request (`safelight.api.errors`).
        WorkFailed: if it accepts the request and cannot complete it.

    Args:
        base_url: the server's address, without `/v1`.
        api_key: what the server was given as `--api-key`.
        timeout_s: how long the server may send nothing.
        connect_timeout_s: how long connecting may take.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._connection = Connection(
            base_url, api_key=api_key, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s
        )

    def generate(self, prompt: str, **options: Unpack[GenerationOptions]) -> list[Picture]:
        """Generate pictures from a prompt; the options are those of `GenerationOptions`."""
        return self._pictures(GENERATIONS, generation_body(prompt, options))

    def edit(
        self,
        prompt: str,
        image: ImageInput | Sequence[ImageInput],
        *,
        mask: ImageInput | None = None,
        strength: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> list[Picture]:
        """Generate pictures that start from `image`; of several images, each gives `n` pictures.

        The image changes where the `mask` is transparent, or white if the mask has no transparency. `strength` is the
        share of the image that is replaced, up to 1.
        """
        return self._pictures(EDITS, edit_body(prompt, image, mask=mask, strength=strength, options=options))

    def stream(
        self,
        prompt: str,
        image: ImageInput | None = None,
        *,
        previews: int = PREVIEWS,
        mask: ImageInput | None = None,
        strength: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Iterator[Preview | Picture]:
        """Generate one picture; yields up to `previews` previews, at most 3, and then the picture.

        With an `image` it is an edit. Closing the iterator early cancels the picture.
        """
        path, body = stream_request(prompt, image, previews=previews, mask=mask, strength=strength, options=options)
        return self._shown(path, body)

    def models(self) -> list[ServedModel]:
        """Return the served models; empty while the first worker loads them."""
        return models_of(self._connection.request("GET", "/v1/models"), url=self._connection.url)

    def adapters(self) -> list[ServedAdapter]:
        """Return the LoRAs and ControlNets that requests may name."""
        content = self._connection.request("GET", "/v1/adapters")
        return list(decode(content, Adapters, url=self._connection.url).data)

    def queue(self) -> Queue:
        """Return what waits and runs."""
        return decode(self._connection.request("GET", "/v1/queue"), Queue, url=self._connection.url)

    def cancel(self, picture_id: str) -> None:
        """Cancel a picture that waits or runs; its request fails with a `WorkFailed` of reason `cancelled`."""
        self._connection.request("POST", f"/v1/queue/{quote(picture_id, safe='')}/cancel")

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _shown(self, path: str, body: dict[str, object]) -> Iterator[Preview | Picture]:
        with closing(self._connection.events(path, body)) as events:
            for event in events:
                yield shown(event)

    def _pictures(self, path: str, body: dict[str, object]) -> list[Picture]:
        content = self._connection.request("POST", path, body, key=new_key())
        return pictures_of(decode(content, Images, url=self._connection.url))
