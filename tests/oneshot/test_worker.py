import base64
import io
import sys
from pathlib import Path
from types import MappingProxyType

import pytest
from PIL import Image

from safelight.core.errors import (
    AdapterFileError,
    RequestError,
    UnknownAdapter,
    UnknownModel,
    UnknownSampler,
    WorkFailed,
)
from safelight.oneshot.worker import look_at_adapter, paint_here

FAKES = Path(__file__).parent.parent / "fakes"
NULL_WORKER = (sys.executable, str(FAKES / "null_worker.py"))
BODY = {"prompt": "a red circle", "seed": 7, "num_inference_steps": 3}


def silent(done, total):
    pass


def paint(body, argv=NULL_WORKER, adapters=MappingProxyType({}), progress=silent):
    return paint_here(body, argv=argv, adapters=adapters, progress=progress)


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_a_worker_of_its_own_paints_a_file_of_the_format_asked_for(output_format):
    painted = paint(BODY | {"output_format": output_format})
    assert Image.open(io.BytesIO(painted.content)).format == output_format.upper()


def test_the_picture_tells_how_it_was_made():
    painted = paint(BODY | {"model": "null-small", "sampler": "ddim"})
    assert (painted.model, painted.steps, painted.seed, painted.sampler) == ("null-small", 3, 7, "ddim")
    assert painted.by == "this machine"


def test_what_is_left_unsaid_is_the_models_own():
    painted = paint({"prompt": "a red circle"})
    assert (painted.model, painted.steps, painted.sampler) == ("null-large", 25, "euler")


def test_every_step_is_told():
    told = []
    paint(BODY, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("field", "value"), [("num_inference_steps", 0), ("guidance_scale", float("nan")), ("seed", -1), ("prompt", "")]
)
def test_a_value_that_cannot_be_is_refused_by_name(field, value):
    with pytest.raises(RequestError, match=field):
        paint(BODY | {field: value})


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(UnknownModel, match="did you mean 'null-large'"):
        paint(BODY | {"model": "nul-large"})


def test_an_unknown_sampler_is_refused_with_those_there_are():
    with pytest.raises(UnknownSampler, match="did you mean 'euler'"):
        paint(BODY | {"sampler": "eular"})


def test_a_worker_that_dies_is_quoted():
    argv = (sys.executable, "-c", "import sys; sys.exit('error: The weights file is cut short.')")
    with pytest.raises(WorkFailed, match=r"without a picture: The weights file is cut short\.$"):
        paint(BODY, argv)


def test_a_worker_that_dies_silently_is_reported_too():
    with pytest.raises(WorkFailed, match="it said nothing"):
        paint(BODY, (sys.executable, "-c", "pass"))


def test_adapters_are_found_by_name():
    wanted = BODY | {"loras": [{"name": "outline", "scale": 0.5}]}
    assert paint(wanted, adapters={"outline": Path("outline.safetensors")}).model == "null-large"


def test_an_unknown_adapter_is_refused_with_those_there_are():
    with pytest.raises(UnknownAdapter, match="did you mean 'outline'"):
        paint(BODY | {"loras": [{"name": "outlien"}]}, adapters={"outline": Path("outline.safetensors")})


def test_an_adapter_that_cannot_be_read_is_refused_in_the_workers_words():
    with pytest.raises(AdapterFileError, match=r"'broken\.safetensors' is broken"):
        paint(BODY | {"loras": [{"name": "outline"}]}, adapters={"outline": Path("broken.safetensors")})


def test_looking_at_an_adapter_tells_what_it_is():
    spec = look_at_adapter("outline", Path("outline.safetensors"), argv=NULL_WORKER)
    assert (spec.name, spec.model, spec.ranks) == ("outline", "null-large", (4,))


def test_a_picture_to_start_from_is_painted_over_where_the_mask_says():
    red, clear = Image.new("RGB", (64, 64), (200, 30, 30)), Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    clear.paste((0, 0, 0, 0), (32, 0, 64, 64))
    urls = []
    for image in (red, clear):
        file = io.BytesIO()
        image.save(file, "PNG")
        urls.append(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
    painted = paint(BODY | {"image": urls[:1], "mask": urls[1], "strength": 1.0})
    picture = Image.open(io.BytesIO(painted.content))
    assert (picture.getpixel((5, 5)), picture.getpixel((60, 5))) == ((200, 30, 30), (128, 128, 128))
