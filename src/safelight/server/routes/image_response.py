"""Response bodies of the image routes: one document, or a stream of events."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from safelight.core.errors import SafelightError
from safelight.core.request import Quality
from safelight.server.errors import problem_of
from safelight.server.painter import Painted, base64_text, unix_now
from safelight.server.picture_store import StoredPicture
from safelight.server.provenance import provenance_of, usage_of
from safelight.server.routes.paint_flow import AcceptedPictures
from safelight.server.wire.images import (
    CompletedEvent,
    EditRequest,
    GenerationRequest,
    Image,
    ImagesResponse,
    PartialImageEvent,
)
from safelight.server.wire.server_sent_events import KEEP_ALIVE, server_sent
from safelight.service.paint_request import QUALITIES
from safelight.service.pending import Preview
from safelight.service.picture_files import FULL_QUALITY, OutputFormat


@dataclass(frozen=True, kw_only=True)
class ImageResponse:
    """Makes the response to one body; `url_of` returns the URL of a picture by its id."""

    accepted: AcceptedPictures
    body: GenerationRequest
    url_of: Callable[[str], str]

    async def document(self) -> AsyncIterator[bytes]:
        """Yield the whole JSON document."""
        painted = await self._paint()
        deliveries = [picture.delivery for picture in painted]
        document = ImagesResponse(
            created=unix_now(),
            data=[self._image(picture) for picture in painted],
            output_format=self._output_format,
            quality=self._quality,
            size=self._size,
            usage=usage_of(deliveries, self.accepted.state.service.models),
            safelight=provenance_of(deliveries),
        )
        yield document.model_dump_json(exclude_none=True).encode()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield server-sent events: previews, then the picture; or an error."""
        state, picture = self.accepted.state, self.accepted.pictures[0]
        try:
            async for partial in state.painter.partials(picture):
                yield KEEP_ALIVE if partial is None else await self._partial_image(*partial)
            yield await self._completed()
        except SafelightError as error:
            yield server_sent("error", problem_of(error).document)
        finally:
            state.service.withdraw(picture.request.id)

    async def _partial_image(self, index: int, preview: Preview) -> bytes:
        request = self.accepted.pictures[0].request
        content = await self.accepted.state.encoder.encode_preview(
            preview.pixels, (request.width, request.height), self._output_format
        )
        event = PartialImageEvent(
            type="image_edit.partial_image" if self._is_edit else "image_generation.partial_image",
            b64_json=base64_text(content),
            partial_image_index=index,
            created_at=unix_now(),
            output_format=self._output_format,
            quality=self._quality,
            size=self._size,
        )
        return server_sent(event.type, event)

    async def _completed(self) -> bytes:
        (picture,) = await self._paint()
        event = CompletedEvent(
            type="image_edit.completed" if self._is_edit else "image_generation.completed",
            b64_json=base64_text(picture.content),
            created_at=unix_now(),
            output_format=self._output_format,
            quality=self._quality,
            size=self._size,
            usage=usage_of([picture.delivery], self.accepted.state.service.models),
            safelight=provenance_of([picture.delivery]),
        )
        return server_sent(event.type, event)

    async def _paint(self) -> list[Painted]:
        compression = self.body.output_compression
        quality = FULL_QUALITY if compression is None else compression
        return await self.accepted.state.painter.paint(self.accepted.pictures, self._output_format, quality)

    def _image(self, picture: Painted) -> Image:
        if self.body.response_format != "url":
            return Image(b64_json=base64_text(picture.content))
        picture_id = picture.delivery.request.id
        tenant = picture.delivery.request.tenant
        stored = StoredPicture(content=picture.content, media_type=f"image/{self._output_format}", tenant=tenant)
        self.accepted.state.pictures.put(picture_id, stored)
        return Image(url=self.url_of(picture_id))

    @property
    def _is_edit(self) -> bool:
        return isinstance(self.body, EditRequest)

    @property
    def _output_format(self) -> OutputFormat:
        return self.body.output_format or "png"

    @property
    def _quality(self) -> Quality:
        return QUALITIES[self.body.quality]

    @property
    def _size(self) -> str:
        request = self.accepted.pictures[0].request
        return f"{request.width}x{request.height}"
