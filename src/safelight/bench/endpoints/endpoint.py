"""The protocol of endpoints, and what they share."""

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
"""Limit of reported seconds or megabytes, so that sums stay finite."""

MOST_NAME_CHARACTERS = 64
"""Limit of a stage or a format that a server reports."""


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """What all requests of a load have in common.

    Attributes:
        model: the name that the server knows it by.
        extra_body: fields that are added to every body.
        default_inputs: what requests without own inputs start from, for tasks that start from something.
        controlnet_images: the picture of each ControlNet, by its name.
        default_controlnet_image: the picture of other ControlNets in requests without own pictures.
        lora_dir: the server's folder of LoRAs, to send `lora` as vLLM-Omni reads it; None sends Safelight's `loras`.
        sends_deadlines: whether each request carries its deadline, as Safelight reads it.
        returns_stage_metrics: whether the times of stages are requested, as vLLM-Omni reads it.
        video_as_json: whether video jobs are JSON, as SGLang reads them, instead of forms.
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
    """One way to send a request. Installed packages add endpoints under the entry point group `safelight.endpoints`.

    Attributes:
        name: what `--endpoint` calls it.
        input_kinds: what requests can start from.
        takes_several_inputs: whether one request can start from several.
        returns_videos: whether answers are videos instead of pictures.
    """

    name: ClassVar[str]
    input_kinds: ClassVar[frozenset[InputKind]]
    takes_several_inputs: ClassVar[bool]
    returns_videos: ClassVar[bool]

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return the answer; raises Failure, at the latest at `until_s` by `http_client.clock_s`."""
        ...


class ServerMetrics(msgspec.Struct):
    """Metrics that Safelight, vLLM-Omni and SGLang report in answers, under their own names.

    Values of other types are ignored, since they do not make the picture a failure.
    """

    queue_s: object = None
    compute_s: object = None
    stage_durations: object = None
    peak_memory_mb: object = None
    inference_time_s: object = None


def result_of(
    pictures: Sequence[str | bytes],
    done_s: float,
    metrics: Sequence[ServerMetrics | None],
    *,
    format: str | None = None,  # noqa: A002 - as it is called on the wire
) -> GenerationResult:
    """Return a result with the first valid value of each metric."""
    found = [each for each in metrics if each is not None]

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
    """Return a value that is valid as seconds or megabytes, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST_AMOUNT:
        return None
    return float(value)


def _stages(durations_s: object) -> dict[str, float]:
    """Return the valid durations by stage."""
    if not isinstance(durations_s, dict):
        return {}
    return {
        printable(name, limit=MOST_NAME_CHARACTERS): value_s
        for name, value in islice(durations_s.items(), MOST_STAGES)
        if (value_s := _amount(value)) is not None
    }


def inputs_for(request: LoadRequest, options: RequestOptions) -> Sequence[Input]:
    """Return what a request starts from; if the task starts from nothing, own pictures belong to its ControlNets."""
    if request.controlnets and not options.default_inputs:
        return [each for each in request.inputs if each.kind == "video"]
    return request.inputs or options.default_inputs


def common_fields(request: LoadRequest, options: RequestOptions) -> dict[str, object]:
    """Return the fields that all endpoints share."""
    found: dict[str, object] = {
        "negative_prompt": request.negative_prompt,
        "num_inference_steps": request.shape.steps,
        "guidance_scale": request.guidance_scale,
        "seed": request.seed,
        "deadline_s": request.deadline_s if options.sends_deadlines else None,
    }
    fields = {name: value for name, value in found.items() if value is not None}
    if request.loras:
        fields |= _loras(request.loras, options.lora_dir)
    if request.controlnets:
        fields["controls"] = [
            {**_scaled(adapter), "image": _control(adapter, request, options).url} for adapter in request.controlnets
        ]
    return fields | (request.extra or {}) | {**options.extra_body}


def _loras(adapters: Sequence[RequestedAdapter], folder: str | None) -> dict[str, object]:
    if folder is None:
        return {"loras": [_scaled(adapter) for adapter in adapters]}
    (adapter,) = adapters
    return {"lora": {**_scaled(adapter), "local_path": f"{folder}/{adapter.name}"}}


def _control(adapter: RequestedAdapter, request: LoadRequest, options: RequestOptions) -> Input:
    if adapter.name in options.controlnet_images:
        return options.controlnet_images[adapter.name]
    found = next((each for each in request.inputs if each.kind == "picture"), options.default_controlnet_image)
    assert found is not None
    return found


def _scaled(adapter: RequestedAdapter) -> dict[str, object]:
    return {"name": adapter.name} if adapter.scale is None else {"name": adapter.name, "scale": adapter.scale}
