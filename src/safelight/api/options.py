"""What a request for pictures may say, and the body that says it."""

import base64
import io
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict

from PIL import Image

from safelight.api.picture import Picture
from safelight.core.errors import InvalidParameter, shorten
from safelight.core.request import OnDeadline

ImageInput = bytes | str | PathLike[str] | Image.Image | Picture
"""A PNG, JPEG or WebP file, its path, a Pillow image, or a picture that a server made."""

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"

FIRST_BYTES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}


class GenerationOptions(TypedDict, total=False):
    """Options of a request; the server chooses what is left out or None.

    Attributes:
        model: name of a served model.
        n: number of pictures.
        size: `WIDTHxHEIGHT`, or (width, height) in pixels.
        quality: chooses the number of steps, unless `steps` does; of a cascade, the model.
        min_quality: of a cascade, the least probability that a light model's picture is good enough to be the answer.
        cascade: whether a light model may paint for a cascade that is named.
        seed: of the first picture; further ones count up from it.
        steps: denoising steps.
        guidance_scale: strength of classifier-free guidance; 1 or less is none.
        negative_prompt: what guidance steers away from.
        sampler: one of the model's samplers.
        step_cache: a step takes over the prediction of an earlier one while it would change by less than this share.
        loras: names, or scales by name.
        lora_grace_steps: how many steps may run while LoRAs are still being loaded.
        controlnets: control pictures by the ControlNet's name, or pairs of picture and scale.
        deadline_s: seconds from now by which the pictures are needed.
        on_deadline: whether a picture that is not ready by then is finished late or given up.
        output_format: of the files.
        output_compression: quality of jpeg and webp, from 0 to 100.
        on_disconnect: whether the work ends when the client goes away.
    """

    model: str | None
    n: int | None
    size: str | tuple[int, int] | None
    quality: Literal["auto", "standard", "hd", "low", "medium", "high", "xhigh", "max"] | None
    min_quality: float | None
    cascade: bool | None
    seed: int | None
    steps: int | None
    guidance_scale: float | None
    negative_prompt: str | None
    sampler: str | None
    step_cache: float | None
    loras: Mapping[str, float] | Sequence[str] | None
    lora_grace_steps: int | None
    controlnets: Mapping[str, ImageInput | tuple[ImageInput, float]] | None
    deadline_s: float | None
    on_deadline: OnDeadline | None
    output_format: Literal["png", "jpeg", "webp"] | None
    output_compression: int | None
    on_disconnect: Literal["cancel", "finish"] | None


WIRE_NAMES = {"steps": "num_inference_steps", "controlnets": "controls"}


def generation_body(prompt: str, options: GenerationOptions) -> dict[str, object]:
    """Return the body of `POST /v1/images/generations`.

    Raises:
        TypeError: if there is no option of that name.
        InvalidParameter: if a control picture is no PNG, JPEG or WebP file.
    """
    check_names(options)
    body: dict[str, object] = {
        WIRE_NAMES.get(name, name): value for name, value in options.items() if value is not None
    }
    if isinstance(size := options.get("size"), tuple):
        body["size"] = f"{size[0]}x{size[1]}"
    if (loras := options.get("loras")) is not None:
        body["loras"] = _loras(loras)
    if (controlnets := options.get("controlnets")) is not None:
        body["controls"] = [_controlnet(name, use) for name, use in controlnets.items()]
    return {"prompt": prompt} | body


def check_names(options: GenerationOptions) -> None:
    """Raise TypeError if there is no option of some name."""
    if unknown := sorted(options.keys() - GenerationOptions.__annotations__.keys()):
        raise TypeError(
            f"There is no option {unknown[0]!r}; options are {', '.join(GenerationOptions.__annotations__)}."
        )


def edit_body(
    prompt: str,
    image: ImageInput | Sequence[ImageInput],
    *,
    mask: ImageInput | None,
    strength: float | None,
    options: GenerationOptions,
) -> dict[str, object]:
    """Return the body of `POST /v1/images/edits`; raises what `generation_body` does."""
    images = [image] if isinstance(image, bytes | str | PathLike | Image.Image | Picture) else image
    edit = {
        "image": [data_url(one, param="image") for one in images],
        "mask": None if mask is None else data_url(mask, param="mask"),
        "strength": strength,
    }
    return generation_body(prompt, options) | {name: value for name, value in edit.items() if value is not None}


def stream_request(
    prompt: str,
    image: ImageInput | None,
    *,
    previews: int,
    mask: ImageInput | None,
    strength: float | None,
    options: GenerationOptions,
) -> tuple[str, dict[str, object]]:
    """Return the path and the body of a request for a stream; raises what `generation_body` does."""
    if image is None:
        path, body = GENERATIONS, generation_body(prompt, options)
    else:
        path, body = EDITS, edit_body(prompt, image, mask=mask, strength=strength, options=options)
    return path, body | {"stream": True, "partial_images": previews}


def data_url(image: ImageInput, *, param: str) -> str:
    """Return a picture as a data URL.

    Raises:
        InvalidParameter: if it is no PNG, JPEG or WebP file.
        OSError: if it is a path that cannot be read.
    """
    if isinstance(image, str) and image.startswith("data:"):
        return image
    content = file_content(image)
    kinds = [kind for first, kind in FIRST_BYTES.items() if content.startswith(first)]
    if not kinds:
        raise InvalidParameter(param, shorten(content), "it should be a PNG, JPEG or WebP file")
    return f"data:image/{kinds[0]};base64,{base64.b64encode(content).decode('ascii')}"


def file_content(image: ImageInput) -> bytes:
    """Return a picture file's bytes; raises OSError if it is a path that cannot be read."""
    match image:
        case str() if image.startswith("data:"):
            return base64.b64decode(image.partition(",")[2])
        case bytes():
            return image
        case Picture():
            return image.content
        case Image.Image():
            file = io.BytesIO()
            image.save(file, "PNG")
            return file.getvalue()
    return Path(image).read_bytes()


def lora_scales(loras: Mapping[str, float] | Sequence[str]) -> Mapping[str, float]:
    """Return scales by name; one name alone is a LoRA at scale 1."""
    if isinstance(loras, Mapping):
        return loras
    return dict.fromkeys([loras] if isinstance(loras, str) else loras, 1.0)


def _loras(loras: Mapping[str, float] | Sequence[str]) -> list[dict[str, object]]:
    scales = lora_scales(loras)
    return [{"name": name, "scale": scale} for name, scale in scales.items()]


def _controlnet(name: str, use: ImageInput | tuple[ImageInput, float]) -> dict[str, object]:
    image, scale = use if isinstance(use, tuple) else (use, 1.0)
    return {"name": name, "scale": scale, "image": data_url(image, param="controlnets")}
