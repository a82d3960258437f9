"""By what loads know that they ask for the same."""

import msgspec
import pytest

from bench.makers import make_requests
from safelight.bench.media.inputs import Input
from safelight.bench.media.shape import Shape
from safelight.bench.null_server import png_of
from safelight.bench.requests import MOST_NAMED, RequestedAdapter, load_facts_of


def picture(name, prompt="a"):
    return Input(name=name, media_type="image/png", content=png_of(prompt, 64, 64))


def digest(*, default_inputs=(), controlnet_images=None, **changes):
    requests = [msgspec.structs.replace(request, **changes) for request in make_requests(3)]
    return load_facts_of(requests, default_inputs=default_inputs, controlnet_images=controlnet_images or {})[
        "load_sha256"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "x"},
        {"negative_prompt": "x"},
        {"shape": Shape(64, 64, None, 5)},
        {"seed": 1},
        {"fps": 8},
        {"guidance_scale": 2.0},
        {"loras": (RequestedAdapter("a"),)},
        {"controlnets": (RequestedAdapter("a"),)},
        {"inputs": (picture("a"),)},
        {"extra": {"x": 1}},
        {"default_inputs": [picture("a")]},
        {"controlnet_images": {"a": picture("a")}},
    ],
)
def test_what_changes_the_work_changes_the_digest(changes):
    assert digest(**changes) != digest()


@pytest.mark.parametrize("changes", [{"request_id": "x"}, {"due_s": 1.0}, {"deadline_s": 1.0}, {"tenant": "x"}])
def test_what_does_not_change_the_work_leaves_the_digest(changes):
    assert digest(**changes) == digest()


def test_files_are_known_by_their_content_and_not_by_their_paths():
    assert digest(inputs=(picture("a"),)) == digest(inputs=(picture("b"),))
    assert digest(inputs=(picture("a"),)) != digest(inputs=(picture("a", "b"),))


def test_of_many_sizes_some_are_named_and_the_others_counted():
    requests = [request for number in range(20) for request in make_requests(1, shape=Shape(64, 64 + number, None, 4))]
    facts = load_facts_of(requests, default_inputs=(), controlnet_images={})
    assert facts["sizes"] == [*(f"64x{64 + number}" for number in range(MOST_NAMED)), "and 4 more"]
    assert facts["steps"] == [4]
