"""What a worker says about a model that it serves."""

from typing import Literal

import msgspec

Guidance = Literal["classifier-free", "embedded", "none"]
"""How a model is guided: by a second denoiser row without the prompt, by a number it reads itself, or not at all."""


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """Measured seconds of one denoiser call over so many rows, at the model's own size."""

    denoiser_rows: int
    seconds: float


class AdapterCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What LoRAs cost on a model, as measured.

    Attributes:
        switch_s: seconds to bring another composition, or none, into the weights.
        unmerged_overhead: by how much a row's share of a call grows when its LoRAs ride beside plain weights.
        correction_overhead: the same when they are corrections to what the weights hold.
    """

    switch_s: float
    unmerged_overhead: float
    correction_overhead: float


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A served model: its name, what a request may ask of it, and how fast it was when it was loaded.

    Attributes:
        name: as requests name it.
        family: how it is computed.
        width, height: the size it was trained at, in pixels.
        size_multiple: both sides of a picture must be multiples of this.
        max_side: the longest side allowed, in pixels.
        guidance: how `guidance_scale` of a request takes effect; negative prompts need `classifier-free`.
        steps, guidance_scale, sampler: what a request that is silent gets.
        samplers: every sampler a request may name.
        step_times: measured, by rising `denoiser_rows`.
        adapter_costs: None for a model that takes no LoRAs.
        encode_s, decode_s: measured seconds of encoding one prompt and decoding one picture.
        encode_picture_s: measured seconds of encoding one picture that another starts from.
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
