"""From pictures to picture files: wait for pictures and encode them."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from safelight.server.picture_encoder import PictureEncoder
from safelight.server.spans import Spans
from safelight.service.pending import Delivery, PendingPicture, Preview
from safelight.service.picture_files import FULL_QUALITY, OutputFormat
from safelight.service.service import Service

QUIET_S = 15.0
"""How long a stream may be silent."""


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A delivered picture and its file."""

    delivery: Delivery
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Painter:
    """Turns pictures into picture files; a caller that stops early withdraws the pictures that are not ready."""

    service: Service
    encoder: PictureEncoder
    spans: Spans

    async def paint(
        self, pictures: Sequence[PendingPicture], output_format: OutputFormat, quality: int = FULL_QUALITY
    ) -> list[Painted]:
        """Wait for all pictures; raises what became of the first that failed."""
        paintings = [self._paint(picture, output_format, quality) for picture in pictures]
        try:
            # gather would create a task even for a single one
            return [await paintings[0]] if len(paintings) == 1 else await asyncio.gather(*paintings)
        finally:
            for picture in pictures:
                self.service.withdraw(picture.request.id)

    async def partials(self, picture: PendingPicture) -> AsyncIterator[tuple[int, Preview] | None]:
        """Yield partial images with their numbers until the picture has ended; None now and then while it goes on."""
        shown = 0
        while shown < len(picture.partials) or not picture.delivery.done():
            if shown < len(picture.partials):
                yield shown, picture.partials[shown]
                shown += 1
                continue
            try:
                async with asyncio.timeout(QUIET_S):
                    await picture.news()
            except TimeoutError:
                yield None

    async def _paint(self, picture: PendingPicture, output_format: OutputFormat, quality: int) -> Painted:
        delivery = await asyncio.shield(picture.delivery)
        with self.spans.encoding(output_format):
            content = await self.encoder.encode(delivery.finished.picture, output_format, quality)
        return Painted(delivery=delivery, content=content)


def base64_text(content: bytes) -> str:
    """Return `content` as base64 text."""
    return base64.b64encode(content).decode("ascii")


def unix_now() -> int:
    """Return the wall clock's time in whole seconds."""
    return int(time.time())
