"""Loads what Pillow otherwise loads when it first needs it: later there may be no file handle left for that."""

import io
from typing import Final

# Pillow imports these modules when it meets the first file that needs them: WebP, EXIF, and JPEG of several pictures.
from PIL import Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin

FORMATS: Final = ("PNG", "JPEG", "WEBP")

LATE_MODULES: Final = (WebPImagePlugin, TiffImagePlugin, MpoImagePlugin)


def load_codecs() -> None:
    """Write and read a small picture of each format, so that its codec is complete."""
    Image.preinit()
    picture = Image.new("RGB", (1, 1))
    for name in FORMATS:
        file = io.BytesIO()
        picture.save(file, name, exif=picture.getexif())
        with Image.open(file, formats=FORMATS) as image:
            image.getexif()
            image.load()
