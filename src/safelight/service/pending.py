"""The caller's side of an accepted request."""

import asyncio
import contextvars
from dataclasses import dataclass

from safelight.core.outcome import Outcome
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, Previewed


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A finished picture with its record."""

    request: ImageRequest
    finished: Finished
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The state of a picture after `step` steps, as a small picture."""

    step: int
    pixels: Pixels


class PendingPicture:
    """An accepted request that has not ended; `delivery` ends with the picture or with an error.

    `latest` is the latest preview; `partials` are up to `partial_images` of them, evenly spread over the steps.
    `context` is that in which the request was made. While a gate is to look at the picture (`awaits_gate`), one of the
    partial images is kept for what it may not accept.
    """

    def __init__(self, request: ImageRequest, *, partial_images: int = 0) -> None:
        self.request = request
        self.context = contextvars.copy_context()
        self.partials: list[Preview] = []
        self._partial_images = partial_images
        self.delivery: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self.latest: Preview | None = None
        self.awaits_gate = False
        self._news = asyncio.Event()

    def progress(self, event: Previewed) -> None:
        """Note a preview."""
        self.latest = Preview(step=event.step, pixels=event.picture)
        most = max(0, self._partial_images - self.awaits_gate)
        due_step = (len(self.partials) + 1) * event.steps / (most + 1)
        if len(self.partials) < most and event.step >= due_step:
            self._show(self.latest)

    def escalated(self, picture: Pixels) -> None:
        """Show a light model's whole picture as a preview, since a gate has not accepted it."""
        self.awaits_gate = False
        self.latest = Preview(step=0, pixels=picture)
        if len(self.partials) < self._partial_images:
            self._show(self.latest)

    def _show(self, preview: Preview) -> None:
        self.partials.append(preview)
        self._news.set()

    def deliver(self, delivery: Delivery) -> None:
        """End with a picture, unless it has ended already."""
        if not self.delivery.done():
            self.delivery.set_result(delivery)
        self._news.set()

    def fail(self, error: Exception) -> None:
        """End with an error, unless it has ended already."""
        if not self.delivery.done():
            self.delivery.set_exception(error)
            self.delivery.exception()  # marks it as retrieved, since there may be no waiter
        self._news.set()

    async def news(self) -> None:
        """Wait for a partial image or for the end."""
        if not self.delivery.done():
            await self._news.wait()
            self._news.clear()
