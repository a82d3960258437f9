"""Pictures for schemathesis, where a schema says `"format": "picture"`; it loads this as its hooks."""

import base64
import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image


def _data_url(size, kind, level):
    file = io.BytesIO()
    Image.new("RGBA" if kind == "png" else "RGB", size, (level,) * (4 if kind == "png" else 3)).save(file, kind)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


sides = st.integers(1, 130)
schemathesis.openapi.format(
    "picture",
    st.builds(_data_url, st.tuples(sides, sides), st.sampled_from(["png", "jpeg", "webp"]), level=st.integers(0, 255)),
)
