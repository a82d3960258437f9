"""Requests, models and workers for the tests of control."""

from hypothesis import strategies as st

from safelight.core.model import ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, Job, Ready
from safelight.profiles.model import ModelProfile

LARGE, SMALL = "shapes-large", "shapes-small"
OWN_SIDE = 64


def spec(name=LARGE, *, tick_s=0.02, row_s=0.01, encode_s=0.0, decode_s=0.0, adapter_costs=None):
    return ModelSpec(
        name=name,
        family="sd3",
        width=OWN_SIDE,
        height=OWN_SIDE,
        size_multiple=16,
        max_side=128,
        steps=25,
        guidance_scale=3.0,
        sampler="euler",
        samplers=("euler",),
        step_times=tuple(StepTime(denoiser_rows=rows, seconds=tick_s + row_s * rows) for rows in (1, 2, 4, 8, 16, 32)),
        encode_s=encode_s,
        decode_s=decode_s,
        adapter_costs=adapter_costs,
    )


def profiles(*specs):
    return {model.name: ModelProfile.from_spec(model) for model in specs or (spec(LARGE), spec(SMALL))}


def ready(*specs, max_denoiser_rows=8):
    return Ready(models=specs or (spec(LARGE), spec(SMALL)), max_denoiser_rows=max_denoiser_rows)


def request(
    name="one",
    *,
    model=LARGE,
    side=OWN_SIDE,
    steps=4,
    is_guided=False,
    arrived_s=0.0,
    deadline_s=None,
    loras=(),
    grace_steps=0,
    start=None,
):
    return ImageRequest(
        id=name,
        model=model,
        prompt="a red circle",
        width=side,
        height=side,
        steps=steps,
        guidance_scale=3.0 if is_guided else 1.0,
        sampler="euler",
        seed=7,
        arrived_s=arrived_s,
        deadline_s=deadline_s,
        loras=loras,
        grace_steps=grace_steps,
        start=start,
    )


def job(name="one", **fields):
    return Job(request=request(name, **fields))


def finished(name="one", *, compute_s=0.5):
    picture = Pixels(width=1, height=1, rgb=b"\0\0\0")
    return Finished(request_id=name, picture=picture, compute_s=compute_s, prompt_tokens=3)


REQUEST_FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, SMALL]),
        "side": st.sampled_from([OWN_SIDE, 2 * OWN_SIDE]),
        "steps": st.integers(1, 6),
        "is_guided": st.booleans(),
        "deadline_s": st.none() | st.floats(0.01, 60),
    }
)


@st.composite
def crowds(draw, *, max_size=12, fields=REQUEST_FIELDS):
    """Some requests that have arrived one after another before now, which is 0."""
    drawn = draw(st.lists(fields, min_size=1, max_size=max_size))
    return [request(f"r{index}", arrived_s=(index - len(drawn)) / 8, **each) for index, each in enumerate(drawn)]
