"""What must be equal before one picture may serve another request."""

import hashlib
from collections.abc import Mapping

import msgspec

from safelight.core.adapter import AdapterHandle, AdapterUse, composition_of
from safelight.core.level import Level
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.reuse import ReuseScope
from safelight.latents.words import normalized

GUIDANCE_BUCKET = 1.0
"""Width of the ranges of guidance scales within which estimates may be shared."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """All but prompt, seed, sampler and steps that a picture depends on.

    Attributes:
        tenant: whose pictures; empty for those of `shared` scope.
        weights: fingerprint of all weights of the model, its autoencoder among them.
        guidance: how the model is guided, and `guidance_scale`, how strongly.
        loras: the sum of them, by the text of their handles.
        controlnets: handle, scale, and a digest of the control picture.
        source: digests of the source picture and of its mask, and the strength.
    """

    tenant: str
    scope: ReuseScope
    model: str
    weights: str
    width: int
    height: int
    guidance: str
    guidance_scale: float
    negative_prompt: str
    loras: tuple[tuple[str, float], ...] = ()
    controlnets: tuple[tuple[str, float, str], ...] = ()
    source: tuple[str, str, float | None] | None = None

    @property
    def is_durable(self) -> bool:
        """Whether it means the same after a restart: generations of adapters count anew."""
        return not self.loras and not self.controlnets

    @property
    def partition(self) -> str:
        """The name of all identities that may share estimates: those whose guidance is in one range."""
        return digest_of(msgspec.structs.replace(self, guidance_scale=float(self.guidance_scale // GUIDANCE_BUCKET)))


def identity_of(
    request: ImageRequest,
    level: Level,
    model: ModelSpec,
    handles: Mapping[str, AdapterHandle],
    *,
    scope: ReuseScope,
) -> Identity:
    """Return the identity of a picture of `request` at `level`; `handles` has those of its adapters, by name."""
    composition = composition_of(AdapterUse(handle=handles[use.name], scale=use.scale) for use in request.loras)
    source = request.source
    return Identity(
        tenant="" if scope == "shared" else request.tenant,
        scope=scope,
        model=model.name,
        weights=model.weights,
        width=request.width,
        height=request.height,
        guidance=level.guidance,
        guidance_scale=level.guidance_scale,
        negative_prompt=normalized(request.negative_prompt),
        loras=tuple((str(use.handle), use.scale) for use in composition.uses),
        controlnets=tuple(
            sorted((str(handles[use.name]), use.scale, _digest_of_picture(use.image)) for use in request.controlnets)
        ),
        source=None
        if source is None
        else (_digest_of_picture(source.image), _digest(source.mask or b""), source.strength),
    )


def exact_key(identity: Identity, request: ImageRequest, level: Level) -> str:
    """Return a digest of all that the bytes of a picture depend on, with its seed as far as the client has set one."""
    seed = ("free", request.sibling) if request.has_free_seed else ("set", request.seed)
    plain = msgspec.structs.replace(level, captures=(), start=None)
    return digest_of((identity, request.prompt, seed, plain))


def digest_of(value: object) -> str:
    """Return the SHA-256 digest of a value that msgspec can encode."""
    return _digest(msgspec.msgpack.encode(value))


def _digest_of_picture(pixels: Pixels) -> str:
    return _digest(pixels.rgb)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
