"""The provenance of pictures, and their token counts."""

from typing import Literal

from pydantic import BaseModel


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

    `noise` is the level that the start was re-noised to.
    """

    tier: Literal["exact", "approximate"]
    scope: Literal["private", "shared"]
    similarity: float
    noise: float | None = None
    steps_saved: int
    saved_s: float
    age_s: float
    model: str


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


class Provenance(BaseModel):
    """How the pictures were made: enough to paint them again, unless some steps ran without LoRAs.

    `seed` is the first picture's; of its `steps`, `steps_run` were run; fewer if it started from another picture.
    Of several pictures, `queue_s` is the longest wait; `compute_s`, `retries` and `pauses` are sums; `met_deadline`
    says whether all were in time, if there was a deadline.
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
    images: list[PictureProvenance]
