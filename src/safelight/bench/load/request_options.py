"""Builds the options of requests from settings."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.errors import BadLoad
from safelight.bench.load.settings import LoadSettings
from safelight.bench.media.inputs import Input, InputKind, InputReader
from safelight.bench.requests import LoadRequest, Task
from safelight.core.errors import shorten

INPUT_SIDE = 512


def request_options_of(
    settings: LoadSettings, extra_body: Mapping[str, object], *, task: Task, requests: Sequence[LoadRequest]
) -> RequestOptions:
    """Build what all requests have in common; files are read if a request needs them.

    Raises:
        BadLoad: if a setting is invalid, if a file is missing or of another kind, or if requests lack an input.
    """
    default_inputs = _default_inputs(settings, task, requests)
    return RequestOptions(
        model=settings.model,
        extra_body=extra_body,
        default_inputs=default_inputs,
        controlnet_images=_controlnet_images(settings.control_image or ()),
        default_controlnet_image=_default_controlnet_image(settings, default_inputs)
        if any(request.controlnets for request in requests)
        else None,
        lora_dir=_lora_dir(settings.lora_dir),
        sends_deadlines=settings.send_deadlines,
        returns_stage_metrics=settings.return_stage_metrics,
        video_as_json=settings.video_json,
        bot_task=settings.bot_task,
    )


def _default_inputs(settings: LoadSettings, task: Task, requests: Sequence[LoadRequest]) -> Sequence[Input]:
    if settings.input_video is not None:
        return [_file(str(settings.input_video), "--input-video", "video")]
    if task == "v2v":
        if not all(request.inputs for request in requests):
            raise BadLoad("--task v2v starts from a video; name one with --input-video, or in every request.")
        return ()
    return () if task.startswith("t2") else _pictures(settings)


def _default_controlnet_image(settings: LoadSettings, default_inputs: Sequence[Input]) -> Input:
    pictures = [each for each in default_inputs if each.kind == "picture"]
    return (pictures or _pictures(settings))[0]


def _pictures(settings: LoadSettings) -> Sequence[Input]:
    if settings.input_image:
        return [_file(str(path), "--input-image", "picture") for path in settings.input_image]
    file = io.BytesIO()
    Image.new("RGB", (INPUT_SIDE, INPUT_SIDE), "white").save(file, "PNG")
    return [Input(name="white", media_type="image/png", content=file.getvalue())] * settings.num_input_images


def _controlnet_images(texts: Sequence[str]) -> Mapping[str, Input]:
    found = dict[str, Input]()
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise BadLoad(f"--control-image {shorten(text)} names no ControlNet and file; write NAME=FILE.")
        if name in found:
            raise BadLoad(f"--control-image names {shorten(name)} twice; a ControlNet gets one picture.")
        found[name] = _file(path, "--control-image", "picture")
    return found


def _file(path: str, option: str, kind: InputKind) -> Input:
    (found,) = InputReader().read([path], folder=Path(), location=option)
    if found.kind != kind:
        raise BadLoad(f"{option} names {shorten(path)}, which is {found.media_type or 'an address'}, and no {kind}.")
    return found


def _lora_dir(folder: str | None) -> str | None:
    if folder is None:
        return None
    if not folder.strip():
        raise BadLoad("--lora-dir names no folder; name the one that holds the server's LoRAs.")
    return folder.rstrip("/")
