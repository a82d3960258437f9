"""What an endpoint is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Protocol

import msgspec

from safelight.bench.client.http_client import HttpClient
from safelight.bench.failures import printable
from safelight.bench.media.inputs import Input, InputKind
from safelight.bench.records import GenerationResult
from safelight.bench.requests import LoadRequest, RequestedAdapter

MOST_STAGES = 64
MOST_AMOUNT = 1e9
"""Of seconds or megabytes; a sum of such is a number still."""

MOST_NAME_CHARACTERS = 64
"""Of a stage or a format, as a server tells it."""


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
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
    extra_body: Mapping[str, object] = field(default_factory=dict)
    default_inputs: Sequence[Input] = ()
    controlnet_images: Mapping[str, Input] = field(default_factory=dict)
    default_controlnet_image: Input | None = None
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
    input_kinds: ClassVar[frozenset[InputKind]]
    takes_several_inputs: ClassVar[bool]

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return what came; raises Failure, at the latest at `until_s` by `line.clock_s`."""
        ...


class ServerMetrics(msgspec.Struct):
    """Where servers tell what a request took: Safelight, vLLM-Omni and SGLang, each in its own words.

    Whatever else they put there is passed over, for a picture that came is no failure.
    """

    queue_s: object = None
    compute_s: object = None
    stage_durations: object = None
    peak_memory_mb: object = None
    inference_time_s: object = None


def result_of(
    pictures: Sequence[str | bytes],
    done_s: float,
    told: Sequence[ServerMetrics | None],
    *,
    format: str | None = None,  # noqa: A002 - as it is called on the wire
) -> GenerationResult:
    """Return what came, with the first answer that the server gives to each question."""
    found = [each for each in told if each is not None]

    def first(name: str) -> float | None:
        return next((value for each in found if (value := _amount(getattr(each, name))) is not None), None)

    return GenerationResult(
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


def inputs_of(request: LoadRequest, options: RequestOptions) -> Sequence[Input]:
    """Return what a request starts from, if anything: where the task starts from nothing, ControlNets get pictures."""
    if request.controlnets and not options.default_inputs:
        return [each for each in request.inputs if each.kind == "video"]
    return request.inputs or options.default_inputs


def common_fields(request: LoadRequest, options: RequestOptions) -> dict[str, object]:
    """Return the fields that have the same name on every endpoint."""
    found: dict[str, object] = {
        "negative_prompt": request.negative_prompt,
        "num_inference_steps": request.shape.steps,
        "guidance_scale": request.guidance_scale,
        "seed": request.seed,
        "deadline_s": request.deadline_s if options.sends_deadlines else None,
    }
    told = {name: value for name, value in found.items() if value is not None}
    if request.loras:
        told |= _loras(request.loras, options.lora_dir)
    if request.controlnets:
        told["controls"] = [
            {**_scaled(use), "image": _control(use, request, options).url} for use in request.controlnets
        ]
    return told | (request.extra or {}) | {**options.extra_body}


def _loras(uses: Sequence[RequestedAdapter], folder: str | None) -> dict[str, object]:
    if folder is None:
        return {"loras": [_scaled(use) for use in uses]}
    (use,) = uses
    return {"lora": {**_scaled(use), "local_path": f"{folder}/{use.name}"}}


def _control(use: RequestedAdapter, request: LoadRequest, options: RequestOptions) -> Input:
    if use.name in options.controlnet_images:
        return options.controlnet_images[use.name]
    found = next((each for each in request.inputs if each.kind == "picture"), options.default_controlnet_image)
    assert found is not None
    return found


def _scaled(use: RequestedAdapter) -> dict[str, object]:
    return {"name": use.name} if use.scale is None else {"name": use.name, "scale": use.scale}
