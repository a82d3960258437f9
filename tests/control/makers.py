"""Requests, models and workers for the tests of control."""

from hypothesis import strategies as st

from safelight.adapters.modes import DEFAULT_ADAPTER_MODE
from safelight.control.batching.deadline import DeadlineBatching
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerPolicies, WorkerState
from safelight.control.workers import Workers
from safelight.core.adapter import AdapterHandle, AdapterSpec, AdapterUse, ControlNetUse, LoraUse
from safelight.core.job import Job
from safelight.core.level import Level, Route
from safelight.core.model import ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, Ready, Ticked
from safelight.profiles.pace import PaceEstimate
from safelight.profiles.profile import Profile

LARGE, SMALL = "shapes-large", "shapes-small"
OWN_SIDE = 64
DOT = Pixels(width=1, height=1, rgb=b"\0\0\0")


def spec(name=LARGE, *, tick_s=0.02, row_s=0.01, encode_s=0.0, decode_s=0.0, encode_picture_s=0.0, adapter_costs=None):
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
        encode_picture_s=encode_picture_s,
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
    on_deadline="finish",
    tenant="",
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
        on_deadline=on_deadline,
        tenant=tenant,
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


def state(asked, *, number=0, work_s=0.0, is_suspect=False, weights_bytes=None):
    """An accepted request that waits."""
    level = job(asked.id, model=asked.model, steps=asked.steps, is_guided=asked.guidance_scale > 1).level
    made = RequestState.admitted(
        asked,
        Route(levels=(level,)),
        weights_bytes or {},
        sequence=number,
        place=DeadlineOrder().place(asked, number),
    )
    made.work_s, made.is_suspect = work_s, is_suspect
    return made


def worker(name="w", *specs, most=4, lookahead=0):
    """A worker that has just joined."""
    policies = WorkerPolicies(batching=DeadlineBatching(), make_adapter_mode=DEFAULT_ADAPTER_MODE.start)
    return WorkerState(name, ready(*specs, max_denoiser_rows=most), lookahead_rows=lookahead, policies=policies)


def workers(held):
    """A fleet: `held` says which requests each worker has."""
    fleet = Workers()
    for each, requests in held.items():
        fleet.add(each)
        for asked in requests:
            fleet.take(each, asked)
    return fleet


def adapter(name, *, kind="lora", model=LARGE, weights_bytes=1000):
    return AdapterSpec(name=name, kind=kind, model=model, weights_bytes=weights_bytes, ranks=(4,) * (kind == "lora"))


def finished(name="one", *, compute_s=0.5, score=None, steps_without_loras=0):
    return Finished(
        request_id=name,
        picture=DOT,
        compute_s=compute_s,
        prompt_tokens=3,
        score=score,
        steps_without_loras=steps_without_loras,
    )


def ticked(*names, model=LARGE, side=OWN_SIDE, denoiser_rows=1, seconds=0.03, **fields):
    """A denoiser call, by default as long as one over one row of `spec` takes."""
    return Ticked(
        model=model,
        width=side,
        height=side,
        denoiser_rows=denoiser_rows,
        seconds=seconds,
        plain_s=seconds,
        request_ids=names,
        **fields,
    )


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
