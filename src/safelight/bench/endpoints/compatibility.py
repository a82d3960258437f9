"""Whether an endpoint has a place for all that requests ask for: nothing is left out in silence."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from safelight.bench.endpoints.endpoint import Endpoint, Manner
from safelight.bench.endpoints.registry import ENDPOINTS
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input
from safelight.bench.requests import Ask
from safelight.core.errors import nearest, shorten

WORDS = {"picture": "a picture", "video": "a video", "address": "a picture by its address"}


def check_fit(asks: Sequence[Ask], manner: Manner, endpoint: Endpoint) -> Sequence[str]:
    """Return, in sentences, what else to know.

    Raises:
        BadLoad: if something that requests start from, or a LoRA, cannot be sent.
    """
    for start in manner.starts:
        if start.sort not in endpoint.takes:
            raise _no_place(f"The task starts from {WORDS[start.sort]}", start, endpoint)
    own = [ask for ask in asks if ask.inputs]
    for ask in own:
        _check_inputs(ask, endpoint)
    _check_controls(asks, manner)
    if manner.lora_dir is not None:
        _check_loras(asks)
    takes_one = [each for each in own if not endpoint.takes_several or (each.controlnets and not manner.starts)]
    several = sum(len(ask.inputs) > 1 for ask in takes_one)
    return [f"{several:,} requests name several files to start from, of which the first is sent"] if several else []


def _check_inputs(ask: Ask, endpoint: Endpoint) -> None:
    for each in ask.inputs:
        if ask.controlnets and each.sort == "address":
            raise BadLoad(
                f"Request {shorten(ask.request_id)} names {shorten(each.name)}, and ControlNets need the picture "
                "itself; download it, and name its path."
            )
        if each.sort not in endpoint.takes and not (ask.controlnets and each.sort == "picture"):
            raise _no_place(f"Request {shorten(ask.request_id)} starts from {shorten(each.name)}", each, endpoint)
    if len({each.sort == "video" for each in ask.inputs}) > 1:
        raise BadLoad(f"Request {shorten(ask.request_id)} starts from a picture and a video; name one of them.")


def _no_place(what: str, start: Input, endpoint: Endpoint) -> BadLoad:
    others = " or ".join(each.name for each in ENDPOINTS if start.sort in each.takes)
    return BadLoad(f"{what}, and {endpoint.name} has no place for {WORDS[start.sort]}; choose --endpoint {others}.")


def _check_controls(asks: Sequence[Ask], manner: Manner) -> None:
    if not manner.controls:
        return
    known = sorted({use.name for ask in asks for use in ask.controlnets})
    for name in manner.controls:
        if name not in known:
            raise BadLoad(
                f"No request has a ControlNet {shorten(name)}, as --control-image does; {nearest(name, known)}"
            )


def _check_loras(asks: Sequence[Ask]) -> None:
    several = [ask for ask in asks if len(ask.loras) > 1]
    if several:
        names = ", ".join(use.name for use in several[0].loras)
        raise BadLoad(
            f"{len(several):,} of {len(asks):,} requests have more than one LoRA ({shorten(several[0].request_id)}: "
            f"{names}), and vLLM-Omni takes one in a request. Leave adapters out with --no-adapters."
        )
    for name in {use.name for ask in asks for use in ask.loras}:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadLoad(f"A LoRA is named {shorten(name)}, which is no file or folder in --lora-dir.")
