"""Bodies that try to stop a server, each as a path, headers and bytes; none is served with 2xx or 5xx."""

import base64
import io
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from PIL import Image

GENERATIONS, EDITS, CHAT = "/v1/images/generations", "/v1/images/edits", "/v1/chat/completions"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=bound"}
LARGEST = (16 << 20) - 4096


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One body; `content` is called to make it, for a size in bytes where it may have any."""

    content: Callable[[int], bytes]
    path: str = GENERATIONS
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def filled(head, item, tail, separator=b","):
    """Return a maker of `head`, as many items as fit, and `tail`."""

    def make(size):
        count = max(1, (size - len(head) - len(tail)) // (len(item) + len(separator)))
        return head + separator.join([item] * count) + tail

    return make


def unknown_fields(size):
    count = max(1, size // 12)
    return b'{"prompt":"x",' + b",".join(b'"%07d":1' % number for number in range(count)) + b"}"


def nested(size):
    return b'{"prompt":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}"


def a_part(content, *, name=b"prompt", is_file=False):
    disposition = b'Content-Disposition: form-data; name="' + name + (b'"; filename="a"' if is_file else b'"')
    return b"--bound\r\n" + disposition + b"\r\n\r\n" + content + b"\r\n"


def a_form(*parts):
    return b"".join(parts) + b"--bound--\r\n"


def an_edit(file, kind):
    url = f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
    return json.dumps({"prompt": "x", "image": url}).encode()


def scans(size):
    """Return a body with a progressive JPEG that repeats a scan of a few bytes."""
    file = io.BytesIO()
    Image.new("RGB", (2048, 2048)).save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    return an_edit(whole[:-2] + scan * (size // 2 // len(scan)) + whole[-2:], "jpeg")


def chunks(size):
    """Return a body with a PNG of empty chunks."""
    file = io.BytesIO()
    Image.new("L", (16, 16)).save(file, "PNG")
    whole, empty = file.getvalue(), b"\0\0\0\0abCd" + zlib.crc32(b"abCd").to_bytes(4)
    return an_edit(whole[:33] + empty * (size // 2 // len(empty)) + whole[33:], "png")


def bombs(_):
    """Return a small body with ten pictures that are large when they are decoded, the last one too large."""
    pictures = []
    for side in [2048] * 9 + [2064]:
        file = io.BytesIO()
        Image.new("1", (side, side)).save(file, "PNG")
        pictures.append("data:image/png;base64," + base64.b64encode(file.getvalue()).decode())
    return json.dumps({"prompt": "x", "image": pictures}).encode()


HOSTILE: Mapping[str, Hostile] = {
    "unknown fields": Hostile(content=unknown_fields),
    "loras": Hostile(content=filled(b'{"prompt":"x","loras":[', b'{"name":"a"}', b"]}")),
    "unknown fields of a lora": Hostile(
        content=lambda size: b'{"prompt":"x","loras":[{"name":"a",' + unknown_fields(size)[1:] + b"]}"
    ),
    "floats": Hostile(content=filled(b'{"prompt":[', b"0.5", b"]}")),
    "empty lists": Hostile(content=filled(b'{"prompt":[', b"[]", b"]}")),
    "empty texts": Hostile(content=filled(b'{"prompt":[', b'""', b"]}")),
    "one key again and again": Hostile(content=filled(b"{", b'"prompt":"x"', b"}")),
    "nesting": Hostile(content=nested),
    "objects within objects": Hostile(content=lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6)),
    "a number of many digits": Hostile(content=lambda size: b'{"prompt":"x","seed":' + b"9" * size + b"}"),
    "a fraction of many digits": Hostile(content=lambda size: b'{"prompt":"x","seed":0.' + b"5" * size + b"}"),
    "white space": Hostile(content=lambda size: b" " * size + b"{}"),
    "commas": Hostile(content=lambda size: b"[" + b"," * size),
    "quotes": Hostile(content=lambda size: b'"' * size),
    "escaped quotes": Hostile(content=lambda size: b'{"prompt":"' + b'\\"' * (size // 2) + b'"}'),
    "escapes": Hostile(content=lambda size: b'{"prompt":"' + b"\\n" * (size // 2) + b'"}'),
    "backslashes": Hostile(content=lambda size: b'{"prompt":"' + b"\\\\" * (size // 2) + b'"}'),
    "surrogates": Hostile(content=lambda size: b'{"prompt":"' + b"\\ud83d\\ude00" * (size // 12) + b'"}'),
    "a text without its end": Hostile(content=lambda size: b'{"prompt":"' + b"x" * size),
    "a long prompt": Hostile(content=lambda size: b'{"prompt":"' + b"x" * size + b'"}'),
    "a long model name": Hostile(content=lambda size: b'{"prompt":"x","model":"' + b"x" * size + b'"}'),
    "a long key": Hostile(content=lambda size: b'{"prompt":"x","' + b"x" * size + b'":1}'),
    "a wrong type of many values": Hostile(content=lambda _: json.dumps({"prompt": list(range(9_000))}).encode()),
    "most unknown fields": Hostile(content=lambda _: unknown_fields(12 * 3_900)),
    "most pictures of a wrong type": Hostile(
        path=EDITS, content=lambda _: json.dumps({"prompt": "x", "image": [1] * 9_900}).encode()
    ),
    "messages": Hostile(path=CHAT, content=filled(b'{"messages":[', b'{"role":"user","content":[1]}', b"]}")),
    "most messages": Hostile(
        path=CHAT, content=lambda _: json.dumps({"messages": [{"role": "user", "content": [1] * 90}] * 90}).encode()
    ),
    "UTF-16": Hostile(content=lambda size: unknown_fields(size // 2).decode().encode("utf-16")),
    "broken UTF-8": Hostile(content=lambda size: b'{"prompt":"' + b"\xff" * size + b'"}'),
    "noise": Hostile(content=lambda size: bytes(range(256)) * (size // 256)),
    "no picture": Hostile(
        path=EDITS, content=lambda size: b'{"prompt":"x","image":"data:image/png;base64,' + b"A" * (size // 2) + b'"}'
    ),
    "a picture with a hole": Hostile(
        path=EDITS,
        content=lambda size: b'{"prompt":"x","image":"data:image/png;base64,' + b"A" * (size // 2) + b'!"}',
    ),
    "decompression bombs": Hostile(path=EDITS, content=bombs),
    "scans": Hostile(path=EDITS, content=scans),
    "chunks": Hostile(path=EDITS, content=chunks),
    "parts": Hostile(path=EDITS, headers=FORM, content=filled(b"", a_part(b"x"), b"--bound--\r\n", b"")),
    "files": Hostile(path=EDITS, headers=FORM, content=filled(b"", a_part(b"x", is_file=True), b"--bound--\r\n", b"")),
    "a part's long name": Hostile(
        path=EDITS, headers=FORM, content=lambda size: a_form(a_part(b"x", name=b"x" * size))
    ),
    "a part's many headers": Hostile(
        path=EDITS, headers=FORM, content=lambda size: b"--bound\r\n" + b"a: b\r\n" * (size // 6) + b"--bound--\r\n"
    ),
    "almost boundaries": Hostile(
        path=EDITS, headers=FORM, content=lambda size: a_form(a_part(b"\r\n--boun" * (size // 8), is_file=True))
    ),
    "line ends": Hostile(
        path=EDITS, headers=FORM, content=lambda size: a_form(a_part(b"\r\n" * (size // 2), is_file=True))
    ),
    "boundaries": Hostile(path=EDITS, headers=FORM, content=filled(b"", b"--bound\r\n", b"--bound--\r\n", b"")),
    "no boundary": Hostile(
        path=EDITS, headers={"content-type": "multipart/form-data"}, content=lambda size: a_form(a_part(b"x" * size))
    ),
    "a long boundary": Hostile(
        path=EDITS,
        headers={"content-type": f"multipart/form-data; boundary={'b' * 9000}"},
        content=lambda size: (b"--" + b"b" * 9000 + b"\r\n") * (size // 9004) + b"--" + b"b" * 9000 + b"--",
    ),
    "a codec": Hostile(
        path=EDITS,
        headers={"content-type": "multipart/form-data; boundary=bound; charset=punycode"},
        content=lambda size: a_form(a_part(b"x" * (size // 2))),
    ),
    "values in a field of a form": Hostile(
        path=EDITS,
        headers=FORM,
        content=lambda size: a_form(
            a_part(filled(b"[", b'{"name":"a"}', b"]")(size // 2), name=b"loras"), a_part(b"x", name=b"image")
        ),
    ),
    "a form's long field": Hostile(
        path=EDITS, headers=FORM, content=lambda size: a_form(a_part(b"x" * (size // 2), name=b"sampler"))
    ),
    "a compressed body": Hostile(headers=JSON | {"content-encoding": "gzip"}, content=lambda size: b"\0" * size),
    "an adapter with unknown fields": Hostile(path="/v1/adapters", content=unknown_fields),
    "a nested adapter": Hostile(path="/v1/adapters", content=nested),
    "a long cancelled name": Hostile(path="/v1/queue/" + "x" * 9000 + "/cancel", content=lambda _: b""),
    "a long query": Hostile(path=GENERATIONS + "?" + "a&" * 4000, content=lambda _: b"{}"),
}
"""By what is hostile in it."""
