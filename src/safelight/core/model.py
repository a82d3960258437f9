"""What a worker says about a model that it serves."""

import msgspec


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """Measured seconds of one denoiser call over so many rows, at the model's own size."""

    denoiser_rows: int
    seconds: float


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A served model: its name, what a request may ask of it, and how fast it was when it was loaded.

    Attributes:
        name: as requests name it.
        family: how it is computed.
        width, height: the size it was trained at, in pixels.
        size_multiple: both sides of a picture must be multiples of this.
        max_side: the longest side allowed, in pixels.
        steps, guidance_scale, sampler: what a request that is silent gets.
        samplers: every sampler a request may name.
        step_times: measured, by rising `denoiser_rows`.
        encode_s, decode_s: measured seconds of encoding one prompt and decoding one picture.
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
