"""Options that every request for a picture has."""

from typing import Annotated, ClassVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from safelight.core.adapter import LoraUse
from safelight.core.request import OnDeadline
from safelight.core.reuse import Reuse, ReuseScope
from safelight.server.wire.fields import (
    MAX_CONTROLS,
    MAX_LORAS,
    Deadline,
    GraceSteps,
    Guidance,
    Name,
    NegativePrompt,
    OnDisconnect,
    PictureData,
    Probability,
    Scale,
    Seed,
    StepCache,
    Steps,
)


class LoraChoice(BaseModel):
    """A LoRA by its registered name, and its scale; a negative scale inverts it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    scale: Scale = 1.0


class OmniLora(BaseModel):
    """One LoRA in vLLM-Omni's format; it is found by its name, and its path is ignored."""

    model_config = ConfigDict(strict=True)

    name: Annotated[Name, Field(validation_alias=AliasChoices("name", "lora_name", "adapter"))]
    scale: Annotated[Scale, Field(validation_alias=AliasChoices("scale", "lora_scale"))] = 1.0


class ControlChoice(BaseModel):
    """A ControlNet by its registered name, with its scale and control picture."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    scale: Scale = 1.0
    image: Annotated[PictureData, Field(description="PNG, JPEG or WebP as a data URL; it is fitted to the size.")]


class PaintOptions(BaseModel):
    """Safelight's own options, at the top level of a request as the official client's `extra_body` puts them."""

    model_config = ConfigDict(strict=True)

    INPUTS: ClassVar[tuple[str, ...]] = ("negative_prompt", "controls")

    seed: Annotated[
        Seed | None,
        Field(
            description="Seed of the first picture; further ones count up from it. Drawn at random when left out. The "
            "same request gives the same picture, up to rounding; the same bytes if the server is deterministic."
        ),
    ] = None
    num_inference_steps: Annotated[
        Steps | None, Field(description="Denoising steps; the model's own number when left out.")
    ] = None
    guidance_scale: Annotated[
        Guidance | None, Field(description="Strength of classifier-free guidance; 1 or less means none.")
    ] = None
    negative_prompt: Annotated[NegativePrompt | None, Field(description="What guidance steers away from.")] = None
    step_cache: Annotated[
        StepCache | None,
        Field(
            description="Let a step take over the prediction of an earlier one while it would have changed by less "
            "than this share, such as 0.1; 0 or left out computes every step. The answer says how many steps did so."
        ),
    ] = None
    sampler: Annotated[Name | None, Field(description="One of the model's samplers.")] = None
    loras: Annotated[
        list[LoraChoice] | None,
        Field(max_length=MAX_LORAS, description="LoRAs by name; the scales of one named twice add up."),
    ] = None
    lora: Annotated[OmniLora | None, Field(description="One more LoRA, in the shape of vLLM-Omni.")] = None
    lora_grace_steps: Annotated[
        GraceSteps | None,
        Field(
            description="The picture may begin without its LoRAs, at most for so many steps, while they are still "
            "being loaded; 0 when left out. The answer says for how many it did."
        ),
    ] = None
    controls: Annotated[
        list[ControlChoice] | None,
        Field(max_length=MAX_CONTROLS, description="ControlNets by name, each with its control picture."),
    ] = None
    min_quality: Annotated[
        Probability | None,
        Field(
            description="Of a cascade: the least probability, by the calibrated gate, that the light model's picture "
            "is good enough to be the answer; from 0 to 1. Otherwise the heavy model paints it. Refused for a single "
            "model, and with quality low."
        ),
    ] = None
    cascade: Annotated[
        bool | None,
        Field(description="Of a cascade: false keeps the light model out, so that the heavy one paints at once."),
    ] = None
    deadline_s: Annotated[
        Deadline | None,
        Field(description="Seconds from now by which the picture is needed; refused at once when it cannot be met."),
    ] = None
    on_deadline: Annotated[
        OnDeadline | None,
        Field(
            description="What becomes of an accepted picture that is not ready at its deadline: `finish` (default) "
            "delivers it late, and the answer says so; `expire` ends it with a 504."
        ),
    ] = None
    reuse: Annotated[
        Reuse | None,
        Field(
            description="What of earlier pictures may serve this one, and of it later ones: `none` (default); `exact`, "
            "the picture of the same request; `approximate`, also a start from a similar picture, but not with a seed, "
            "with n above 1, or for an edit; `always`, then too. The answer says what was reused. Refused by a server "
            "that reuses nothing."
        ),
    ] = None
    reuse_scope: Annotated[
        ReuseScope | None,
        Field(
            description="Whose pictures: `private` (default), those of the key's own tenant; `shared`, also those that "
            "other tenants have shared in this way, and they may use this one."
        ),
    ] = None
    on_disconnect: Annotated[OnDisconnect, Field(description="What becomes of the work when the client goes away.")] = (
        "cancel"
    )

    def drop_inputs(self) -> None:
        """Forget what only the requests for pictures are made of, which may be megabytes."""
        for name in self.INPUTS:
            setattr(self, name, None)

    @property
    def uses(self) -> tuple[LoraUse, ...]:
        """All LoRAs of the request."""
        asked = [*(self.loras or ()), *([self.lora] if self.lora else ())]
        return tuple(LoraUse(name=choice.name, scale=choice.scale) for choice in asked)
