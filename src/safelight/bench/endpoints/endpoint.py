"""What an endpoint is."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import msgspec

from safelight.bench.asks import Ask, Use
from safelight.bench.line import Line
from safelight.bench.records import Served


@dataclass(frozen=True, kw_only=True)
class Manner:
    """What all requests of a load have in common.

    Attributes:
        model: as the server calls it.
        extra: fields that are put into every body.
        pictures: PNG files that pictures and videos start from, for tasks that do.
        video: an MP4 file that videos start from, in place of a picture.
        sends_deadlines: tell the server each request's deadline, as Safelight reads it.
        partial_images: previews that a stream is to have.
        poll_s: seconds between looks at a video job, where the server does not tell; less at its beginning.
        returns_stage_metrics: ask for the times of stages, as vLLM-Omni does.
        video_as_json: put video jobs as JSON, as SGLang reads them, and not as forms.
        bot_task: a field that vLLM-Omni's client sends with edits.
    """

    model: str = "default"
    extra: Mapping[str, object] = field(default_factory=dict)
    pictures: Sequence[bytes] = ()
    video: bytes | None = None
    sends_deadlines: bool = False
    partial_images: int = 2
    poll_s: float = 0.5
    returns_stage_metrics: bool = False
    video_as_json: bool = False
    bot_task: str | None = None


class Endpoint(Protocol):
    """One way of asking."""

    name: ClassVar[str]

    async def ask(self, ask: Ask, manner: Manner, line: Line) -> Served:
        """Send a request and return what came; raises Failure."""
        ...


class Told(msgspec.Struct):
    """Where servers tell what a request took: Safelight, vLLM-Omni and SGLang, each in its own words."""

    queue_s: float | None = None
    compute_s: float | None = None
    stage_durations: dict[str, float] | None = None
    peak_memory_mb: float | None = None
    inference_time_s: float | None = None


def served(
    pictures: Sequence[str | bytes],
    done_s: float,
    told: Sequence[Told | None],
    *,
    format: str | None = None,  # noqa: A002 - as it is called on the wire
) -> Served:
    """Return what came, with the first answer that the server gives to each question."""
    found = [each for each in told if each is not None]

    def first(name: str) -> float | None:
        return next((value for each in found if (value := getattr(each, name)) is not None), None)

    return Served(
        pictures=list(pictures),
        format=format,
        done_s=done_s,
        queue_s=first("queue_s"),
        compute_s=first("compute_s") if first("compute_s") is not None else first("inference_time_s"),
        stages_s=next((each.stage_durations for each in found if each.stage_durations), None),
        peak_memory_mb=first("peak_memory_mb"),
    )


def data_url(file: bytes, *, kind: str = "image/png") -> str:
    """Return a file as text to be put into JSON."""
    return f"data:{kind};base64,{base64.b64encode(file).decode()}"


def options(ask: Ask, manner: Manner) -> dict[str, object]:
    """Return the fields that have the same name on every endpoint."""
    found: dict[str, object] = {
        "negative_prompt": ask.negative_prompt,
        "num_inference_steps": ask.shape.steps,
        "guidance_scale": ask.guidance_scale,
        "seed": ask.seed,
        "deadline_s": ask.deadline_s if manner.sends_deadlines else None,
        "loras": [_scaled(use) for use in ask.loras] or None,
        "controls": [{**_scaled(use), "image": data_url(manner.pictures[0])} for use in ask.controlnets] or None,
    }
    return {name: value for name, value in found.items() if value is not None} | (ask.extra or {}) | {**manner.extra}


def _scaled(use: Use) -> dict[str, object]:
    return {"name": use.name} if use.scale is None else {"name": use.name, "scale": use.scale}
