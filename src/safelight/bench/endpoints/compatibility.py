"""Checks that an endpoint can express all that requests ask for, so that nothing is left out silently."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from safelight.bench.endpoints.endpoint import Endpoint, RequestOptions
from safelight.bench.endpoints.registry import endpoints
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input
from safelight.bench.requests import LoadRequest
from safelight.core.errors import nearest, shorten

DESCRIPTIONS = {"picture": "a picture", "video": "a video", "address": "a picture by its address"}


def check_compatible(requests: Sequence[LoadRequest], options: RequestOptions, endpoint: Endpoint) -> Sequence[str]:
    """Check a load, and return notes in sentences.

    Raises:
        BadLoad: if an input or a LoRA of a request cannot be sent.
    """
    for start in options.default_inputs:
        if start.kind not in endpoint.input_kinds:
            raise _unsupported(f"The task starts from {DESCRIPTIONS[start.kind]}", start, endpoint)
    own = [request for request in requests if request.inputs]
    for request in own:
        _check_inputs(request, endpoint)
    _check_controls(requests, options)
    if options.lora_dir is not None:
        _check_loras(requests)
    takes_one = [
        each for each in own if not endpoint.takes_several_inputs or (each.controlnets and not options.default_inputs)
    ]
    several = sum(len(request.inputs) > 1 for request in takes_one)
    return [f"{several:,} requests name several files to start from, of which the first is sent"] if several else []


def _check_inputs(request: LoadRequest, endpoint: Endpoint) -> None:
    for each in request.inputs:
        if request.controlnets and each.kind == "address":
            raise BadLoad(
                f"Request {shorten(request.request_id)} names {shorten(each.name)}, and ControlNets need the picture "
                "itself; download it, and name its path."
            )
        if each.kind not in endpoint.input_kinds and not (request.controlnets and each.kind == "picture"):
            raise _unsupported(
                f"Request {shorten(request.request_id)} starts from {shorten(each.name)}", each, endpoint
            )
    if len({each.kind == "video" for each in request.inputs}) > 1:
        raise BadLoad(f"Request {shorten(request.request_id)} starts from a picture and a video; name one of them.")


def _unsupported(what: str, start: Input, endpoint: Endpoint) -> BadLoad:
    others = " or ".join(each.name for each in endpoints() if start.kind in each.input_kinds)
    return BadLoad(
        f"{what}, and {endpoint.name} has no place for {DESCRIPTIONS[start.kind]}; choose --endpoint {others}."
    )


def _check_controls(requests: Sequence[LoadRequest], options: RequestOptions) -> None:
    if not options.controlnet_images:
        return
    known = sorted({adapter.name for request in requests for adapter in request.controlnets})
    for name in options.controlnet_images:
        if name not in known:
            raise BadLoad(
                f"No request has a ControlNet {shorten(name)}, as --control-image does; {nearest(name, known)}"
            )


def _check_loras(requests: Sequence[LoadRequest]) -> None:
    several = [request for request in requests if len(request.loras) > 1]
    if several:
        names = ", ".join(adapter.name for adapter in several[0].loras)
        raise BadLoad(
            f"{len(several):,} of {len(requests):,} requests have more than one LoRA "
            f"({shorten(several[0].request_id)}: {names}), and vLLM-Omni takes one in a request. "
            "Leave adapters out with --no-adapters."
        )
    for name in {adapter.name for request in requests for adapter in request.loras}:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadLoad(f"A LoRA is named {shorten(name)}, which is no file or folder in --lora-dir.")
