"""Messages between a worker and the ControlNet service; each connection is about one ControlNet."""

from dataclasses import fields
from typing import Any

import msgspec
import torch
from safetensors.torch import load, save
from torch import Tensor

from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals


class Load(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load the ControlNet in `folder`, or share it if it is loaded; the first message of a connection."""

    folder: str
    base: ControlNetBase


class Compute(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Compute residuals; `tensors` are `ControlNetInputs` in safetensors' format."""

    number: int
    tensors: bytes


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ControlNet is loaded, and stays so while the connection is open."""

    weights_bytes: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ControlNet cannot be used; `message` is that of a worker that loads it itself."""

    message: str


class Computed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The answer to the `Compute` of the same number; `tensors` are `Residuals` in safetensors' format."""

    number: int
    tensors: bytes


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The service closes the connection, for this reason."""

    reason: str


ServiceRequest = Load | Compute
ServiceResponse = Loaded | Refused | Computed | Ended

decode_request = msgspec.msgpack.Decoder(ServiceRequest).decode
decode_response = msgspec.msgpack.Decoder(ServiceResponse).decode


def pack_inputs(inputs: ControlNetInputs) -> bytes:
    """Return inputs in safetensors' format."""
    named = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    return save({name: tensor.contiguous() for name, tensor in named.items() if tensor is not None})


def unpack_inputs(data: bytes, *, device: torch.device) -> ControlNetInputs:
    """Return inputs from safetensors' format; what they lack or have too much is a TypeError."""
    tensors: dict[str, Any] = {name: tensor.to(device) for name, tensor in load(data).items()}
    return ControlNetInputs(**({"pooled": None} | tensors))


def pack_residuals(residuals: Residuals) -> bytes:
    """Return residuals in safetensors' format."""
    places = {f"early.{place}": tensor for place, tensor in enumerate(residuals.early)}
    places |= {f"late.{place}": tensor for place, tensor in enumerate(residuals.late)}
    return save({name: tensor.contiguous() for name, tensor in places.items()})


def unpack_residuals(data: bytes, *, device: torch.device) -> Residuals:
    """Return residuals from safetensors' format."""
    tensors = load(data)
    return Residuals(early=_in_order(tensors, "early", device), late=_in_order(tensors, "late", device))


def _in_order(tensors: dict[str, Tensor], part: str, device: torch.device) -> tuple[Tensor, ...]:
    count = sum(name.startswith(f"{part}.") for name in tensors)
    return tuple(tensors[f"{part}.{place}"].to(device) for place in range(count))
