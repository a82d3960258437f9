"""Requests, models and workers for the tests of control."""

from hypothesis import strategies as st

from safelight.core.adapter import AdapterHandle, AdapterUse, ControlNetUse, LoraUse
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.model import ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, Ready
from safelight.profiles.pace import PaceEstimate
from safelight.profiles.profile import Profile

LARGE, SMALL = "shapes-large", "shapes-small"
OWN_SIDE = 64
DOT = Pixels(width=1, height=1, rgb=b"\0\0\0")


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


def paces(*specs):
    return {model.name: PaceEstimate(Profile.from_spec(model)) for model in specs or (spec(LARGE), spec(SMALL))}


def ready(*specs, max_denoiser_rows=8):
    return Ready(models=specs or (spec(LARGE), spec(SMALL)), max_denoiser_rows=max_denoiser_rows)


def use(name, scale=1.0, generation=1):
    """A LoRA in use."""
    return AdapterUse(handle=AdapterHandle(name=name, generation=generation), scale=scale)


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
    controlnets=(),
    grace_steps=0,
    source=None,
    previews=0,
):
    """What is asked for; `loras` are uses, and `controlnets` are handles."""
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
        loras=tuple(LoraUse(name=each.handle.name, scale=each.scale) for each in loras),
        controlnets=tuple(ControlNetUse(name=each.name, scale=1.0, image=DOT) for each in controlnets),
        grace_steps=grace_steps,
        source=source,
        previews=previews,
    )


def job(name="one", *, model=LARGE, steps=4, is_guided=False, paused=None, start=None, captures=(), **fields):
    """What a worker gets for such a request."""
    asked = request(name, model=model, steps=steps, is_guided=is_guided, **fields)
    uses, controlnets = fields.get("loras", ()), fields.get("controlnets", ())
    level = Level(
        model=model,
        steps=steps,
        guidance_scale=asked.guidance_scale,
        sampler="euler",
        start=start,
        captures=captures,
    )
    return Job(request=asked, level=level, adapters=(*controlnets, *(each.handle for each in uses)), paused=paused)


def finished(name="one", *, compute_s=0.5):
    return Finished(request_id=name, picture=DOT, compute_s=compute_s, prompt_tokens=3)


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
    """Some jobs whose requests have arrived one after another before now, which is 0."""
    drawn = draw(st.lists(fields, min_size=1, max_size=max_size))
    return [job(f"r{index}", arrived_s=(index - len(drawn)) / 8, **each) for index, each in enumerate(drawn)]
