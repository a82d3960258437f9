"""From tickets to answers: wait for pictures, encode them, and say where they came from."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.picture_encoder import FULL_QUALITY, OutputFormat, PictureEncoder
from safelight.server.wire.options import LoraChoice
from safelight.server.wire.provenance import ControlUsed, InputTokensDetails, PictureProvenance, Provenance, Usage
from safelight.service.pending import Delivery, PendingPicture, Preview
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
    """Turns tickets into picture files; whoever stops listening early withdraws what is still to come."""

    hub: Service
    encoder: PictureEncoder

    async def paint(
        self, tickets: Sequence[PendingPicture], output_format: OutputFormat, quality: int = FULL_QUALITY
    ) -> list[Painted]:
        """Wait for all pictures; raises what became of the first that failed."""
        try:
            return await asyncio.gather(*(self._paint(ticket, output_format, quality) for ticket in tickets))
        finally:
            for ticket in tickets:
                self.hub.withdraw(ticket.request.id)

    async def partials(self, ticket: PendingPicture) -> AsyncIterator[tuple[int, Preview] | None]:
        """Yield partial images with their numbers until the picture has ended; None now and then while it goes on."""
        shown = 0
        while shown < len(ticket.partials) or not ticket.delivery.done():
            if shown < len(ticket.partials):
                yield shown, ticket.partials[shown]
                shown += 1
                continue
            try:
                async with asyncio.timeout(QUIET_S):
                    await ticket.news()
            except TimeoutError:
                yield None

    async def _paint(self, ticket: PendingPicture, output_format: OutputFormat, quality: int) -> Painted:
        delivery = await asyncio.shield(ticket.delivery)
        content = await self.encoder.encode(delivery.finished.picture, output_format, quality)
        return Painted(delivery=delivery, content=content)


def base64_text(content: bytes) -> str:
    """Return `content` as base64 text."""
    return base64.b64encode(content).decode("ascii")


def unix_now() -> int:
    """Return the wall clock's time in whole seconds."""
    return int(time.time())


def usage_of(deliveries: Sequence[Delivery], model: ModelSpec) -> Usage:
    """Count tokens: the prompt once, since it is one prompt; a picture, in or out, one for each smallest square."""
    text = deliveries[0].finished.prompt_tokens
    painted = sum(_squares(delivery.request, model) for delivery in deliveries)
    read = sum(_squares(delivery.request, model) for delivery in deliveries if delivery.request.source is not None)
    return Usage(
        input_tokens=text + read,
        input_tokens_details=InputTokensDetails(image_tokens=read, text_tokens=text),
        output_tokens=painted,
        total_tokens=text + read + painted,
    )


def _squares(request: ImageRequest, model: ModelSpec) -> int:
    return (request.width // model.size_multiple) * (request.height // model.size_multiple)


def provenance_of(deliveries: Sequence[Delivery]) -> Provenance:
    """Return where pictures of one order came from."""
    request, level = deliveries[0].request, deliveries[0].outcome.level
    outcomes = [delivery.outcome for delivery in deliveries]
    return Provenance(
        model=level.model,
        steps=level.steps,
        steps_run=level.steps_to_run,
        seed=request.seed,
        sampler=level.sampler,
        guidance_scale=level.guidance_scale,
        loras=[LoraChoice(name=use.name, scale=use.scale) for use in request.loras],
        controls=[ControlUsed(name=use.name, scale=use.scale) for use in request.controlnets],
        queue_s=max(outcome.queue_s for outcome in outcomes),
        compute_s=sum(outcome.compute_s for outcome in outcomes),
        retries=sum(outcome.retries for outcome in outcomes),
        images=[_provenance_of_one(delivery) for delivery in deliveries],
    )


def _provenance_of_one(delivery: Delivery) -> PictureProvenance:
    request, outcome = delivery.request, delivery.outcome
    return PictureProvenance(
        id=request.id,
        seed=request.seed,
        worker=outcome.worker,
        queue_s=outcome.queue_s,
        compute_s=outcome.compute_s,
        total_s=outcome.total_s,
        retries=outcome.retries,
        steps_without_loras=outcome.steps_without_loras,
    )
