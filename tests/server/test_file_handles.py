"""A server that may open no more files, except for one connection: whatever it needs was loaded when it started."""

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from server.test_edits import SOURCE, file_of

AUDITED = Path(__file__).parent.parent / "fakes" / "audited_server.py"
GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"

SIZES = ("64x64", "128x128")
"""Pictures that are encoded on the event loop, and in a thread."""


def generate(**body):
    return lambda http: http.post(GENERATIONS, json={"prompt": "x"} | body)


def edit(kind, mode="RGB"):
    content = file_of(Image.new(mode, (64, 64)), kind)
    image = f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
    return lambda http: http.post(EDITS, json={"prompt": "x", "image": image})


def edit_by_form(http):
    mask = file_of(Image.new("RGBA", (64, 64)))
    files = {"image": ("a.png", file_of(SOURCE), "image/png"), "mask": ("m.png", mask, "image/png")}
    return http.post(EDITS, data={"prompt": "x"}, files=files)


def picture_by_url(http):
    answer = http.post(GENERATIONS, json={"prompt": "x", "response_format": "url"}).json()
    return http.get(answer["data"][0]["url"])


def chat(http):
    return http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})


REQUESTS = {
    **{
        f"{kind} of {size}": generate(output_format=kind, size=size)
        for kind in ("png", "jpeg", "webp")
        for size in SIZES
    },
    **{f"{kind} as a stream": generate(output_format=kind, stream=True) for kind in ("png", "jpeg", "webp")},
    **{f"an edit of {kind}": edit(kind) for kind in ("PNG", "JPEG", "WEBP")},
    **{f"an edit of PNG in mode {mode}": edit("PNG", mode) for mode in ("P", "LA", "I;16")},
    "an edit by a form": edit_by_form,
    "a picture by its URL": picture_by_url,
    "chat": chat,
    "the page": lambda http: http.get("/"),
    "the schema": lambda http: http.get("/openapi.json"),
    "metrics": lambda http: http.get("/metrics"),
    "the queue": lambda http: http.get("/v1/queue"),
    "models": lambda http: http.get("/v1/models"),
    "readiness": lambda http: http.get("/health/ready"),
}


@pytest.fixture(scope="module")
def served():
    """The status of each request, and what the server loaded, opened and started meanwhile."""
    arguments = [sys.executable, str(AUDITED), "1"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            with httpx2.Client(verify=False, base_url=process.stdout.readline().strip(), timeout=30) as http:
                statuses = {name: ask(http).status_code for name, ask in REQUESTS.items()}
        finally:
            process.send_signal(signal.SIGTERM)
        return statuses, json.loads(process.stdout.read())


@pytest.mark.parametrize("name", REQUESTS)
def test_a_finished_picture_is_delivered_without_a_further_file_handle(served, name):
    statuses, _ = served
    assert statuses[name] == 200


def test_no_request_loads_a_module_opens_a_file_or_starts_a_thread(served):
    """Only the metrics of the process read files, those of the kernel, and do without them if they must."""
    _, notes = served
    assert [note for note in notes if not note.startswith("open /proc/")] == []
