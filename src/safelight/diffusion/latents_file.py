"""Latents as safetensors files: a row's estimate of its picture, or all that a row needs to go on elsewhere.

The header says what they belong to, so that they are never taken for something else.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from safelight.core.adapter import AdapterUse
from safelight.core.errors import LatentsFileError
from safelight.core.request import ImageRequest

KEY = "safelight"
"""Of the header within the file's metadata."""

FORMAT = 1
LARGEST_BYTES = 256 << 20

Kind = Literal["estimate", "row"]

TENSORS: Mapping[Kind, tuple[tuple[str, ...], ...]] = {"estimate": (("x0",),), "row": (("latent",), ("latent", "x0"))}
"""Which tensors a file of each kind may hold."""


class LatentsHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where latents come from, and at which noise level.

    Attributes:
        kind: `estimate` holds the tensor `x0`; `row` holds `latent`, and `x0` if there has been a step.
        weights: fingerprint of the model's weights.
        step: how many steps of the schedule lie behind them.
        noise: sigma of the level that the estimate was made at, or that the row stands at.
        texts: digest of prompt and negative prompt.
        request: digest of all that the picture depends on.
    """

    format: int = FORMAT
    kind: Kind
    model: str
    weights: str
    width: int
    height: int
    sampler: str
    steps: int
    step: int
    noise: float
    guidance_scale: float
    seed: int
    loras: tuple[AdapterUse, ...]
    controls: tuple[AdapterUse, ...]
    texts: str
    request: str

    @classmethod
    def of(cls, request: ImageRequest, *, kind: Kind, weights: str, step: int, noise: float) -> "LatentsHeader":
        """Return the header of latents that a row of `request` has at `step`."""
        return cls(
            kind=kind,
            model=request.model,
            weights=weights,
            width=request.width,
            height=request.height,
            sampler=request.sampler,
            steps=request.steps,
            step=step,
            noise=noise,
            guidance_scale=request.guidance_scale,
            seed=request.seed,
            loras=request.composition.uses,
            controls=tuple(AdapterUse(name=use.name, scale=use.scale) for use in request.controls),
            texts=_digest((request.prompt, request.negative_prompt)),
            request=digest_of(request),
        )


@dataclass(frozen=True, kw_only=True)
class LatentsFile:
    """A header, and tensors of shape (channels, height, width) by name."""

    header: LatentsHeader
    tensors: Mapping[str, Tensor]

    def to_bytes(self) -> bytes:
        """Return the file."""
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self.tensors.items()}
        return save(tensors, metadata={KEY: msgspec.json.encode(self.header).decode()})

    @classmethod
    def from_bytes(cls, content: bytes) -> "LatentsFile":
        """Read a file.

        Raises:
            LatentsFileError: if it is none.
        """
        if len(content) > LARGEST_BYTES:
            raise LatentsFileError(f"it has {len(content)} bytes, of which at most {LARGEST_BYTES} are read")
        try:
            header = msgspec.json.decode(_metadata(content), type=LatentsHeader)
            tensors = load(content)
        except (SafetensorError, msgspec.DecodeError, KeyError, struct.error) as error:
            raise LatentsFileError(f"it is damaged or no latents file ({error})") from None
        if header.format != FORMAT:
            raise LatentsFileError(f"it is of format {header.format}; this version reads format {FORMAT}")
        if tuple(sorted(tensors)) not in TENSORS[header.kind]:
            raise LatentsFileError(f"it holds the tensors {', '.join(sorted(tensors))}, which make no {header.kind}")
        return cls(header=header, tensors=tensors)

    def check(self, kind: Kind, request: ImageRequest, *, weights: str, shape: tuple[int, int, int]) -> None:
        """Make sure that this is `kind`, of latents that a row of `request` could have.

        Raises:
            LatentsFileError: if it is not.
        """
        header = self.header
        if header.kind != kind:
            raise LatentsFileError(f"it is of kind {header.kind!r}, and {kind!r} is needed")
        if header.model != request.model or header.weights != weights:
            raise LatentsFileError(f"it was made by {header.model!r}, or by other weights of that name")
        wrong = [tuple(tensor.shape) for tensor in self.tensors.values() if tuple(tensor.shape) != shape]
        if wrong:
            raise LatentsFileError(f"its latents are of shape {wrong[0]}, the request's of shape {shape}")
        if not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in self.tensors.values()):
            raise LatentsFileError("its latents are not all finite numbers in single precision")
        if kind == "row" and header.request != digest_of(request):
            raise LatentsFileError("it is a row of another request")


def digest_of(request: ImageRequest) -> str:
    """Return a digest of all that the picture of `request` depends on: who asks for it, and when, is not in it."""
    return _digest(
        msgspec.structs.replace(
            request, id="", arrived_s=0.0, deadline_s=None, preview_every=0, grace_steps=0, captures=()
        )
    )


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value)).hexdigest()


class _Head(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__")


def _metadata(content: bytes) -> str:
    """Return our header within a safetensors file: a length in eight bytes, then JSON."""
    (length,) = struct.unpack_from("<Q", content)
    return msgspec.json.decode(content[8 : 8 + length], type=_Head).metadata[KEY]
