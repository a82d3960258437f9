"""The client of a Safelight server for programs with an event loop."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, Unpack
from urllib.parse import quote

from safelight.api.client import DEFAULT_URL, PREVIEWS
from safelight.api.connection import CONNECT_TIMEOUT_S, TIMEOUT_S, AsyncConnection, new_key
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


class AsyncClient:
    """The same as `Client`, with coroutines: its methods take the same arguments and raise the same errors."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._connection = AsyncConnection(
            base_url, api_key=api_key, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s
        )

    async def generate(self, prompt: str, **options: Unpack[GenerationOptions]) -> list[Picture]:
        """Do what `Client.generate` does."""
        return await self._pictures(GENERATIONS, generation_body(prompt, options))

    async def edit(
        self,
        prompt: str,
        image: ImageInput | Sequence[ImageInput],
        *,
        mask: ImageInput | None = None,
        strength: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> list[Picture]:
        """Do what `Client.edit` does."""
        return await self._pictures(EDITS, edit_body(prompt, image, mask=mask, strength=strength, options=options))

    async def stream(
        self,
        prompt: str,
        image: ImageInput | None = None,
        *,
        previews: int = PREVIEWS,
        mask: ImageInput | None = None,
        strength: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AsyncIterator[Preview | Picture]:
        """Do what `Client.stream` does."""
        path, body = stream_request(prompt, image, previews=previews, mask=mask, strength=strength, options=options)
        async with aclosing(self._connection.events(path, body)) as events:
            async for event in events:
                yield shown(event)

    async def models(self) -> list[ServedModel]:
        """Do what `Client.models` does."""
        return models_of(await self._connection.request("GET", "/v1/models"), url=self._connection.url)

    async def adapters(self) -> list[ServedAdapter]:
        """Do what `Client.adapters` does."""
        content = await self._connection.request("GET", "/v1/adapters")
        return list(decode(content, Adapters, url=self._connection.url).data)

    async def queue(self) -> Queue:
        """Do what `Client.queue` does."""
        return decode(await self._connection.request("GET", "/v1/queue"), Queue, url=self._connection.url)

    async def cancel(self, picture_id: str) -> None:
        """Do what `Client.cancel` does."""
        await self._connection.request("POST", f"/v1/queue/{quote(picture_id, safe='')}/cancel")

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _pictures(self, path: str, body: dict[str, object]) -> list[Picture]:
        content = await self._connection.request("POST", path, body, key=new_key())
        return pictures_of(decode(content, Images, url=self._connection.url))
