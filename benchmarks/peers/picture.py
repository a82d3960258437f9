"""The answer that every peer encodes: the null engine's picture, with the settings of Safelight's server."""

import base64
import io

from PIL import Image

SIDE = 64
GREY = (128, 128, 128)
COMPRESSION = 1


def answer():
    """Encode the picture as a PNG file within base64; returns it in the shape of OpenAI's answers."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), GREY).save(file, "PNG", compress_level=COMPRESSION)
    return {"data": [{"b64_json": base64.b64encode(file.getvalue()).decode("ascii")}]}
