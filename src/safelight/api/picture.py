"""Pictures as a client gets them."""

import base64
import io
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from PIL import Image

from safelight.api.wire import Event, Images
from safelight.core.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture file and how it was made.

    Attributes:
        content: the bytes of the file.
        media_type: `image/png`, `image/jpeg` or `image/webp`.
        id: the picture's name in the server's queue and log.
        seed: gives the same picture again, with the same model and options.
        provenance: of all pictures of the request.
    """

    content: bytes = field(repr=False)
    media_type: str
    id: str
    seed: int
    provenance: Provenance = field(repr=False)

    @property
    def image(self) -> Image.Image:
        """The picture as Pillow has it."""
        return opened(self.content)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the file as it is, whatever the name says; returns its path."""
        target = Path(path)
        target.write_bytes(self.content)
        return target


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A picture on its way, enlarged to the size of the picture.

    Attributes:
        content: the bytes of the file.
        media_type: `image/png`, `image/jpeg` or `image/webp`.
        index: 0 for the first preview of a picture.
    """

    content: bytes = field(repr=False)
    media_type: str
    index: int

    @property
    def image(self) -> Image.Image:
        """The preview as Pillow has it."""
        return opened(self.content)


def opened(content: bytes) -> Image.Image:
    """Return a picture file's pixels."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def pictures_of(answer: Images) -> list[Picture]:
    """Return the pictures of an answer."""
    pairs = zip(answer.data, answer.safelight.images, strict=True)
    return [
        Picture(
            content=base64.b64decode(file.b64_json),
            media_type=f"image/{answer.output_format}",
            id=made.id,
            seed=made.seed,
            provenance=answer.safelight,
        )
        for file, made in pairs
    ]


def shown(event: Event) -> Picture | Preview:
    """Return what an event of a stream shows."""
    content, media_type = base64.b64decode(event.b64_json), f"image/{event.output_format}"
    if event.safelight is None:
        return Preview(content=content, media_type=media_type, index=event.partial_image_index)
    (made,) = event.safelight.images
    return Picture(content=content, media_type=media_type, id=made.id, seed=made.seed, provenance=event.safelight)
