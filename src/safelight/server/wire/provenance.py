"""The provenance of pictures, and their token counts."""

from typing import Literal

from pydantic import BaseModel

from safelight.core.level import RouteReason


class InputTokensDetails(BaseModel):
    """The tokens read, by kind."""

    image_tokens: int
    text_tokens: int


class Usage(BaseModel):
    """Tokens of the prompt that the model read, and of pictures in and out: one for each smallest square it paints."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    total_tokens: int


class AdapterScale(BaseModel):
    """A LoRA or a ControlNet that was used for a picture."""

    name: str
    scale: float


class LevelProvenance(BaseModel):
    """How a stage was served; of `steps`, `steps_run` were run, fewer where it started from another picture."""

    model: str
    steps: int
    steps_run: int
    sampler: str
    guidance_scale: float


class StageProvenance(BaseModel):
    """One run of a level for a picture; `score` is a gate's, if one looked at the picture.

    `steps_reused` took over the prediction of an earlier step.
    """

    level: LevelProvenance
    worker: str | None = None
    queue_s: float
    compute_s: float
    score: float | None = None
    retries: int
    pauses: int
    steps_without_loras: int
    steps_reused: int


class ReusedProvenance(BaseModel):
    """What of an earlier picture served a picture: the finished picture (`exact`), or its estimate as a start.

    `noise` is the level that the start was re-noised to; `predicted_loss` is what that costs, by the level predictor.
    """

    tier: Literal["exact", "approximate"]
    scope: Literal["private", "shared"]
    similarity: float
    noise: float | None = None
    predicted_loss: float | None = None
    steps_saved: int
    saved_s: float
    age_s: float
    model: str


class QualityProvenance(BaseModel):
    """By which levels a picture was made, and what was promised about it.

    `levels` are the models that painted it, in order; the picture is that of the last one, and `reason` says why.
    `gate_score` is the probability, by the cascade's gate, that the light model's picture is good enough; it was to be
    the answer from `threshold` on. `kept_for_deadline` says that it is the answer all the same, since the heavy model
    would have been late. `hardness` is the probability, by the prompt alone, that a light picture is not good enough.
    `promise` is there if the request asked for one by `min_quality`.
    """

    cascade: str | None = None
    levels: list[str]
    reason: RouteReason
    gate: str | None = None
    gate_score: float | None = None
    threshold: float | None = None
    hardness: float | None = None
    kept_for_deadline: bool
    promise: float | None = None
    kept_promise: bool | None = None
    reused: ReusedProvenance | None = None
    predicted_loss: float | None = None


class PictureProvenance(BaseModel):
    """How one picture was made; `steps_without_loras` ran before its LoRAs were loaded.

    `met_deadline` is there if there was a deadline, and `late_s` if it was missed; `reused` if an earlier picture
    served it.
    """

    id: str
    seed: int
    worker: str | None = None
    queue_s: float
    compute_s: float
    total_s: float
    predicted_s: float | None = None
    retries: int
    pauses: int
    steps_without_loras: int
    deadline_s: float | None = None
    met_deadline: bool | None = None
    late_s: float | None = None
    stages: list[StageProvenance]
    reused: ReusedProvenance | None = None
    quality: QualityProvenance


class Provenance(BaseModel):
    """How the pictures were made: enough to paint them again, unless some steps ran without LoRAs.

    `seed` is the first picture's; of its `steps`, `steps_run` were run; fewer if it started from another picture.
    Of several pictures, `queue_s` is the longest wait; `compute_s`, `retries` and `pauses` are sums; `met_deadline`
    says whether all were in time, if there was a deadline; `quality` has the levels of the one with the most, and the
    least score of all.
    """

    model: str
    steps: int
    steps_run: int
    seed: int
    sampler: str
    guidance_scale: float
    loras: list[AdapterScale]
    controls: list[AdapterScale]
    queue_s: float
    compute_s: float
    retries: int
    pauses: int
    met_deadline: bool | None = None
    quality: QualityProvenance
    images: list[PictureProvenance]
