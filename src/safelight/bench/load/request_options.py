"""From flags to what all requests of a load have in common."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.media.inputs import Input, InputKind, InputReader
from safelight.bench.requests import LoadRequest, Task
from safelight.cli.bench.flags import LoadFlags
from safelight.cli.errors import Misuse
from safelight.core.errors import shorten

INPUT_SIDE = 512


def request_options_of(
    flags: LoadFlags, extra: Mapping[str, object], *, task: Task, requests: Sequence[LoadRequest]
) -> RequestOptions:
    """Return what the flags ask for; files are read where some request needs them.

    Raises:
        Misuse: if a flag names something that cannot be sent, or nothing that a request needs.
        BadLoad: if a file is not there, or of another kind.
    """
    default_inputs = _starts(flags, task, requests)
    return RequestOptions(
        model=flags.model,
        extra_body=extra,
        default_inputs=default_inputs,
        controlnet_images=_controls(flags.control_image or ()),
        default_controlnet_image=_control(flags, default_inputs)
        if any(request.controlnets for request in requests)
        else None,
        lora_dir=_lora_dir(flags.lora_dir),
        sends_deadlines=flags.send_deadlines,
        returns_stage_metrics=flags.return_stage_metrics,
        video_as_json=flags.video_json,
        bot_task=flags.bot_task,
    )


def _starts(flags: LoadFlags, task: Task, requests: Sequence[LoadRequest]) -> Sequence[Input]:
    if flags.input_video is not None:
        return [_file(str(flags.input_video), "--input-video", "video")]
    if task == "v2v":
        if not all(request.inputs for request in requests):
            raise Misuse("--task v2v starts from a video; name one with --input-video, or in every request.")
        return ()
    return () if task.startswith("t2") else _pictures(flags)


def _control(flags: LoadFlags, default_inputs: Sequence[Input]) -> Input:
    pictures = [each for each in default_inputs if each.kind == "picture"]
    return (pictures or _pictures(flags))[0]


def _pictures(flags: LoadFlags) -> Sequence[Input]:
    if flags.input_image:
        return [_file(str(path), "--input-image", "picture") for path in flags.input_image]
    file = io.BytesIO()
    Image.new("RGB", (INPUT_SIDE, INPUT_SIDE), "white").save(file, "PNG")
    return [Input(name="white", media_type="image/png", content=file.getvalue())] * flags.num_input_images


def _controls(words: Sequence[str]) -> Mapping[str, Input]:
    found = dict[str, Input]()
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise Misuse(f"--control-image {shorten(word)} names no ControlNet and file; write NAME=FILE.")
        if name in found:
            raise Misuse(f"--control-image names {shorten(name)} twice; a ControlNet gets one picture.")
        found[name] = _file(path, "--control-image", "picture")
    return found


def _file(path: str, option: str, kind: InputKind) -> Input:
    (found,) = InputReader().read([path], folder=Path(), location=option)
    if found.kind != kind:
        raise Misuse(f"{option} names {shorten(path)}, which is {found.media_type or 'an address'}, and no {kind}.")
    return found


def _lora_dir(folder: str | None) -> str | None:
    if folder is None:
        return None
    if not folder.strip():
        raise Misuse("--lora-dir names no folder; name the one that holds the server's LoRAs.")
    return folder.rstrip("/")
