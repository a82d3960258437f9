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

from safelight.core.adapter import AdapterHandle, LoraUse
from safelight.core.errors import LatentsFileError
from safelight.core.job import Job

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
        loras, controls: by the text of their handles.
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
    loras: tuple[LoraUse, ...]
    controls: tuple[LoraUse, ...]
    texts: str
    request: str

    @classmethod
    def of(cls, job: Job, *, kind: Kind, weights: str, step: int, noise: float) -> "LatentsHeader":
        """Return the header of latents that a row of `job` has at `step`."""
        request, level = job.request, job.level
        return cls(
            kind=kind,
            model=level.model,
            weights=weights,
            width=request.width,
            height=request.height,
            sampler=level.sampler,
            steps=level.steps,
            step=step,
            noise=noise,
            guidance_scale=level.guidance_scale,
            seed=request.seed,
            loras=tuple(_use(use.handle, use.scale) for use in job.composition.uses),
            controls=tuple(_use(job.handle(use.name), use.scale) for use in request.controlnets),
            texts=_digest((request.prompt, request.negative_prompt)),
            request=digest_of(job),
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

    def check(self, kind: Kind, job: Job, *, weights: str, shape: tuple[int, int, int]) -> None:
        """Make sure that this is `kind`, of latents that a row of `job` could have.

        Raises:
            LatentsFileError: if it is not.
        """
        header = self.header
        if header.kind != kind:
            raise LatentsFileError(f"it is of kind {header.kind!r}, and {kind!r} is needed")
        if header.model != job.level.model or header.weights != weights:
            raise LatentsFileError(f"it was made by {header.model!r}, or by other weights of that name")
        wrong = [tuple(tensor.shape) for tensor in self.tensors.values() if tuple(tensor.shape) != shape]
        if wrong:
            raise LatentsFileError(f"its latents are of shape {wrong[0]}, the request's of shape {shape}")
        if not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in self.tensors.values()):
            raise LatentsFileError("its latents are not all finite numbers in single precision")
        if kind == "row" and header.request != digest_of(job):
            raise LatentsFileError("it is a row of another request")


def digest_of(job: Job) -> str:
    """Return a digest of all that the picture of `job` depends on: who asks for it, when and why, is not in it."""
    request, source = job.request, job.request.source
    return _digest(
        (
            *(request.prompt, request.negative_prompt, request.width, request.height, request.seed),
            None if source is None else (source.image, source.mask),
            job.composition,
            [(job.handle(use.name), use.scale, use.image) for use in request.controlnets],
            msgspec.structs.replace(job.level, captures=()),
        )
    )


def _use(handle: AdapterHandle, scale: float) -> LoraUse:
    return LoraUse(name=str(handle), scale=scale)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value)).hexdigest()


class _Head(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__")


def _metadata(content: bytes) -> str:
    """Return our header within a safetensors file: a length in eight bytes, then JSON."""
    (length,) = struct.unpack_from("<Q", content)
    return msgspec.json.decode(content[8 : 8 + length], type=_Head).metadata[KEY]
