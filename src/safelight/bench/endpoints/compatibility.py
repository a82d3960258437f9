"""Whether an endpoint has a place for all that requests ask for: nothing is left out in silence."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from safelight.bench.endpoints.endpoint import Endpoint, RequestOptions
from safelight.bench.endpoints.registry import ENDPOINTS
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input
from safelight.bench.requests import LoadRequest
from safelight.core.errors import nearest, shorten

WORDS = {"picture": "a picture", "video": "a video", "address": "a picture by its address"}


def check_compatible(requests: Sequence[LoadRequest], options: RequestOptions, endpoint: Endpoint) -> Sequence[str]:
    """Return, in sentences, what else to know.

    Raises:
        BadLoad: if something that requests start from, or a LoRA, cannot be sent.
    """
    for start in options.default_inputs:
        if start.kind not in endpoint.input_kinds:
            raise _no_place(f"The task starts from {WORDS[start.kind]}", start, endpoint)
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
            raise _no_place(f"Request {shorten(request.request_id)} starts from {shorten(each.name)}", each, endpoint)
    if len({each.kind == "video" for each in request.inputs}) > 1:
        raise BadLoad(f"Request {shorten(request.request_id)} starts from a picture and a video; name one of them.")


def _no_place(what: str, start: Input, endpoint: Endpoint) -> BadLoad:
    others = " or ".join(each.name for each in ENDPOINTS if start.kind in each.input_kinds)
    return BadLoad(f"{what}, and {endpoint.name} has no place for {WORDS[start.kind]}; choose --endpoint {others}.")


def _check_controls(requests: Sequence[LoadRequest], options: RequestOptions) -> None:
    if not options.controlnet_images:
        return
    known = sorted({use.name for request in requests for use in request.controlnets})
    for name in options.controlnet_images:
        if name not in known:
            raise BadLoad(
                f"No request has a ControlNet {shorten(name)}, as --control-image does; {nearest(name, known)}"
            )


def _check_loras(requests: Sequence[LoadRequest]) -> None:
    several = [request for request in requests if len(request.loras) > 1]
    if several:
        names = ", ".join(use.name for use in several[0].loras)
        raise BadLoad(
            f"{len(several):,} of {len(requests):,} requests have more than one LoRA ({shorten(several[0].request_id)}: "
            f"{names}), and vLLM-Omni takes one in a request. Leave adapters out with --no-adapters."
        )
    for name in {use.name for request in requests for use in request.loras}:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadLoad(f"A LoRA is named {shorten(name)}, which is no file or folder in --lora-dir.")
