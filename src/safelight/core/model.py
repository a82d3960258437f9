"""What a worker reports about a model that it serves."""

from typing import Literal

import msgspec

Guidance = Literal["classifier-free", "embedded", "none"]
"""How a model is guided: by a second denoiser row without the prompt, by an input of the network, or not at all."""


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """Measured seconds of one denoiser call over `denoiser_rows` rows, at the model's own size."""

    denoiser_rows: int
    seconds: float


class AdapterCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The measured costs of LoRAs on a model.

    Attributes:
        switch_s: seconds to fold another composition, or none, into the weights.
        unmerged_overhead: growth of a row's share of a call when its LoRAs are computed beside plain weights.
        correction_overhead: the same when they are corrections to the folded composition.
    """

    switch_s: float
    unmerged_overhead: float
    correction_overhead: float


class GateSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A gate that a worker has loaded: it scores finished pictures of the model `light`.

    Attributes:
        name: as jobs and cascades name it.
        heavy: the model that paints what the gate does not accept.
        deferral: pairs of a threshold and the share of light pictures that score below it, as measured.
        best_share: escalating a larger share made no better pictures.
        seconds: measured, of scoring one picture.
    """

    name: str
    light: str
    heavy: str
    deferral: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    best_share: float = 1.0
    seconds: float = 0.0


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A served model: its name, what requests can set, and the speed that was measured when it was loaded.

    Attributes:
        name: as requests name it.
        family: the name of its model family.
        width, height: the size it was trained at, in pixels.
        size_multiple: both sides of a picture must be multiples of this.
        max_side: the longest side allowed, in pixels.
        guidance: how `guidance_scale` of a request takes effect; negative prompts need `classifier-free`.
        steps, guidance_scale, sampler: defaults for requests that set none.
        samplers: all samplers that a request may name.
        step_times: as measured, in ascending order of `denoiser_rows`.
        adapter_costs: None for a model that takes no LoRAs.
        encode_s, decode_s: measured seconds of encoding one prompt and decoding one picture.
        encode_picture_s: measured seconds of encoding one start picture.
        mixes_sizes: whether pictures of different sizes can share a denoiser call.
        caches_steps: whether steps may take over the prediction of earlier ones.
        weights: a fingerprint of its weights; empty if it is not known.
    """

    name: str
    family: str
    width: int
    height: int
    size_multiple: int
    max_side: int
    steps: int
    guidance_scale: float
    sampler: str
    samplers: tuple[str, ...]
    step_times: tuple[StepTime, ...]
    encode_s: float
    decode_s: float
    encode_picture_s: float = 0.0
    guidance: Guidance = "classifier-free"
    adapter_costs: AdapterCosts | None = None
    mixes_sizes: bool = False
    caches_steps: bool = False
    weights: str = ""
