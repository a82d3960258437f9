"""What an endpoint is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Protocol

import msgspec

from safelight.bench.client.http_client import Line
from safelight.bench.failures import printable
from safelight.bench.media.inputs import Input, Sort
from safelight.bench.records import Served
from safelight.bench.requests import Ask, Use

MOST_STAGES = 64
MOST_AMOUNT = 1e9
"""Of seconds or megabytes; a sum of such is a number still."""

MOST_NAME_CHARACTERS = 64
"""Of a stage or a format, as a server tells it."""


@dataclass(frozen=True, kw_only=True)
class Manner:
    """What all requests of a load have in common.

    Attributes:
        model: as the server calls it.
        extra: fields that are put into every body.
        starts: what requests start from that have nothing of their own, for tasks that do.
        controls: what each ControlNet gets, by its name.
        control: what ControlNets get of which `controls` does not tell, in requests that have no picture of their own.
        lora_dir: the server's folder of LoRAs, to name one as vLLM-Omni reads it; None names all as Safelight does.
        sends_deadlines: tell the server each request's deadline, as Safelight reads it.
        returns_stage_metrics: ask for the times of stages, as vLLM-Omni does.
        video_as_json: put video jobs as JSON, as SGLang reads them, and not as forms.
        bot_task: a field that vLLM-Omni's client sends with edits.
    """

    model: str = "default"
    extra: Mapping[str, object] = field(default_factory=dict)
    starts: Sequence[Input] = ()
    controls: Mapping[str, Input] = field(default_factory=dict)
    control: Input | None = None
    lora_dir: str | None = None
    sends_deadlines: bool = False
    returns_stage_metrics: bool = False
    video_as_json: bool = False
    bot_task: str | None = None


class Endpoint(Protocol):
    """One way of asking.

    Attributes:
        takes: what requests can start from here.
        takes_several: of them in one request.
    """

    name: ClassVar[str]
    takes: ClassVar[frozenset[Sort]]
    takes_several: ClassVar[bool]

    async def ask(self, ask: Ask, manner: Manner, line: Line, until_s: float) -> Served:
        """Send a request and return what came; raises Failure, at the latest at `until_s` by `line.clock_s`."""
        ...


class Told(msgspec.Struct):
    """Where servers tell what a request took: Safelight, vLLM-Omni and SGLang, each in its own words.

    Whatever else they put there is passed over, for a picture that came is no failure.
    """

    queue_s: object = None
    compute_s: object = None
    stage_durations: object = None
    peak_memory_mb: object = None
    inference_time_s: object = None


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
        return next((value for each in found if (value := _amount(getattr(each, name))) is not None), None)

    return Served(
        pictures=list(pictures),
        format=format and printable(format, limit=MOST_NAME_CHARACTERS),
        done_s=done_s,
        queue_s=first("queue_s"),
        compute_s=first("compute_s") if first("compute_s") is not None else first("inference_time_s"),
        stages_s=next((stages for each in found if (stages := _stages(each.stage_durations))), None),
        peak_memory_mb=first("peak_memory_mb"),
    )


def _amount(value: object) -> float | None:
    """Return what makes sense as seconds or megabytes."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST_AMOUNT:
        return None
    return float(value)


def _stages(durations_s: object) -> dict[str, float]:
    """Return what figures have room for."""
    if not isinstance(durations_s, dict):
        return {}
    return {
        printable(name, limit=MOST_NAME_CHARACTERS): value_s
        for name, told in islice(durations_s.items(), MOST_STAGES)
        if (value_s := _amount(told)) is not None
    }


def starts_of(ask: Ask, manner: Manner) -> Sequence[Input]:
    """Return what a request starts from, if anything: where the task starts from nothing, ControlNets get pictures."""
    if ask.controlnets and not manner.starts:
        return [each for each in ask.inputs if each.sort == "video"]
    return ask.inputs or manner.starts


def options(ask: Ask, manner: Manner) -> dict[str, object]:
    """Return the fields that have the same name on every endpoint."""
    found: dict[str, object] = {
        "negative_prompt": ask.negative_prompt,
        "num_inference_steps": ask.shape.steps,
        "guidance_scale": ask.guidance_scale,
        "seed": ask.seed,
        "deadline_s": ask.deadline_s if manner.sends_deadlines else None,
    }
    told = {name: value for name, value in found.items() if value is not None}
    if ask.loras:
        told |= _loras(ask.loras, manner.lora_dir)
    if ask.controlnets:
        told["controls"] = [{**_scaled(use), "image": _control(use, ask, manner).url} for use in ask.controlnets]
    return told | (ask.extra or {}) | {**manner.extra}


def _loras(uses: Sequence[Use], folder: str | None) -> dict[str, object]:
    if folder is None:
        return {"loras": [_scaled(use) for use in uses]}
    (use,) = uses
    return {"lora": {**_scaled(use), "local_path": f"{folder}/{use.name}"}}


def _control(use: Use, ask: Ask, manner: Manner) -> Input:
    if use.name in manner.controls:
        return manner.controls[use.name]
    found = next((each for each in ask.inputs if each.sort == "picture"), manner.control)
    assert found is not None
    return found


def _scaled(use: Use) -> dict[str, object]:
    return {"name": use.name} if use.scale is None else {"name": use.name, "scale": use.scale}
