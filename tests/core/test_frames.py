import io
import math
import string
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.makers import a_job, a_request
from safelight.core.adapter import AdapterHandle, AdapterSpec, AdapterUse, ControlNetUse, LoraUse, composition_of
from safelight.core.frames import decode_command, decode_event, frame, read_body
from safelight.core.job import Job, PausedRow
from safelight.core.level import Level
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.reuse import Reuse
from safelight.core.source import LatentsHandle, PictureSource
from safelight.core.work import (
    AdapterAdded,
    AdapterEvicted,
    AdapterLoaded,
    AdapterRefused,
    AddAdapter,
    Beat,
    Cancel,
    Captured,
    DropLatents,
    Dropped,
    Failed,
    FetchLatents,
    Finished,
    LatentsDropped,
    LatentsFetched,
    Pause,
    Paused,
    Place,
    Prefetch,
    Previewed,
    PutLatents,
    Ready,
    RemoveAdapter,
    Run,
    Started,
    Stop,
    Ticked,
    WorkerCommand,
    WorkerEvent,
)

words = st.text(string.printable + "äß猫🎈", max_size=40)
counts = st.integers(min_value=0, max_value=2**31)
seconds = st.floats(min_value=0, max_value=1e9)
times_s = st.floats(min_value=0, allow_infinity=False)
pixels = st.builds(Pixels, width=counts, height=counts, rgb=st.binary(max_size=100))
step_times = st.lists(st.builds(StepTime, denoiser_rows=counts, seconds=seconds), max_size=3).map(tuple)
costs = st.builds(AdapterCosts, switch_s=seconds, unmerged_overhead=seconds, correction_overhead=seconds)
specs = st.builds(
    ModelSpec,
    name=words,
    width=counts,
    height=counts,
    size_multiple=counts,
    max_side=counts,
    guidance_scale=seconds,
    steps=counts,
    samplers=st.lists(words, max_size=3).map(tuple),
    step_times=step_times,
    encode_s=seconds,
    decode_s=seconds,
    encode_picture_s=seconds,
    adapter_costs=st.none() | costs,
)
adapter_specs = st.builds(
    AdapterSpec,
    name=words,
    model=words,
    weights_bytes=counts,
    ranks=st.lists(counts, max_size=3).map(tuple),
    parts=st.lists(words, max_size=3).map(tuple),
)
files = st.binary(max_size=100)
uses = st.builds(LoraUse, name=words, scale=st.floats(allow_nan=False))
controls = st.builds(ControlNetUse, name=words, scale=st.floats(allow_nan=False), image=pixels)
handles = st.builds(AdapterHandle, name=words, generation=counts)
latents = st.builds(LatentsHandle, id=words)
weights = st.builds(AdapterUse, handle=handles, scale=st.floats(-4, 4))
compositions = st.lists(weights, max_size=3).map(composition_of)
sources = st.builds(PictureSource, image=pixels, mask=st.none() | files, strength=st.none() | seconds)
requests = st.builds(
    ImageRequest,
    id=words,
    prompt=words,
    width=counts,
    height=counts,
    seed=st.integers(min_value=0, max_value=2**63 - 1),
    arrived_s=times_s,
    model=st.none() | words,
    steps=st.none() | counts,
    sampler=st.none() | words,
    guidance_scale=st.none() | st.floats(allow_nan=False),
    loras=st.lists(uses, max_size=3).map(tuple),
    grace_steps=counts,
    controlnets=st.lists(controls, max_size=2).map(tuple),
    source=st.none() | sources,
    deadline_s=st.none() | times_s,
    previews=counts,
    tenant=words,
    reuse=st.sampled_from(get_args(Reuse)),
    has_free_seed=st.booleans(),
)
levels = st.builds(
    Level,
    model=words,
    steps=counts,
    guidance_scale=st.floats(allow_nan=False),
    sampler=words,
    start=st.none() | latents,
    first_step=counts,
    captures=st.lists(seconds, max_size=2).map(tuple),
)
paused = st.builds(PausedRow, steps_run=counts, file=files)
jobs = st.builds(
    Job,
    request=requests,
    level=levels,
    adapters=st.lists(handles, max_size=3).map(tuple),
    stage=counts,
    attempt=counts,
    paused=st.none() | paused,
)
COMMANDS = {
    Run: st.builds(Run, job=jobs),
    Cancel: st.builds(Cancel, request_id=words),
    Pause: st.builds(Pause, request_id=words),
    Stop: st.builds(Stop),
    AddAdapter: st.builds(AddAdapter, handle=handles, path=words),
    RemoveAdapter: st.builds(RemoveAdapter, handle=handles),
    Prefetch: st.builds(Prefetch, handles=st.lists(handles, max_size=3).map(tuple)),
    Place: st.builds(Place, handles=st.lists(handles, max_size=3).map(tuple)),
    FetchLatents: st.builds(FetchLatents, handle=latents),
    PutLatents: st.builds(PutLatents, handle=latents, file=files),
    DropLatents: st.builds(DropLatents, handle=latents),
}
EVENTS = {
    Ready: st.builds(Ready, models=st.lists(specs, max_size=2).map(tuple), max_denoiser_rows=counts),
    Started: st.builds(Started, request_id=words),
    Ticked: st.builds(
        Ticked,
        model=words,
        width=counts,
        height=counts,
        denoiser_rows=counts,
        misfit_rows=counts,
        folded=compositions,
        seconds=seconds,
        plain_s=seconds,
        request_ids=st.lists(words, max_size=3).map(tuple),
    ),
    Beat: st.builds(Beat, busy_s=st.floats(0, 1e6)),
    Previewed: st.builds(Previewed, request_id=words, step=counts, steps=counts, picture=pixels),
    Captured: st.builds(Captured, request_id=words, handle=latents, noise=seconds, latents_bytes=counts),
    LatentsFetched: st.builds(LatentsFetched, handle=latents, file=st.none() | files),
    LatentsDropped: st.builds(LatentsDropped, handle=latents),
    Paused: st.builds(Paused, request_id=words, row=st.none() | paused),
    Finished: st.builds(
        Finished,
        request_id=words,
        picture=pixels,
        compute_s=seconds,
        prompt_tokens=counts,
        steps_without_loras=counts,
        score=st.none() | seconds,
    ),
    Failed: st.builds(Failed, request_id=words, message=words),
    Dropped: st.builds(Dropped, request_id=words),
    AdapterAdded: st.builds(AdapterAdded, handle=handles, spec=adapter_specs),
    AdapterRefused: st.builds(AdapterRefused, handle=handles, message=words),
    AdapterLoaded: st.builds(AdapterLoaded, handle=handles, seconds=seconds),
    AdapterEvicted: st.builds(AdapterEvicted, handle=handles),
}
commands = st.one_of(*COMMANDS.values())
events = st.one_of(*EVENTS.values())


def test_every_message_has_its_strategy_here():
    assert set(COMMANDS) == set(get_args(WorkerCommand))
    assert set(EVENTS) == set(get_args(WorkerEvent))


@given(commands)
def test_a_framed_command_reads_back_as_itself(command):
    assert decode_command(read_body(io.BytesIO(frame(command)))) == command


@given(events)
def test_a_framed_event_reads_back_as_itself(event):
    assert decode_event(read_body(io.BytesIO(frame(event)))) == event


@given(st.lists(events, max_size=4))
def test_frames_on_one_stream_are_read_in_order(sent):
    stream = io.BytesIO(b"".join(frame(event) for event in sent))
    received = [decode_event(body) for body in iter(lambda: read_body(stream), None)]
    assert received == sent


@given(events, st.data())
def test_a_stream_cut_anywhere_in_a_frame_reads_as_ended(event, data):
    whole = frame(event)
    cut = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    assert read_body(io.BytesIO(whole[:cut])) is None


def test_a_request_without_deadline_crosses_the_wire_as_due_never():
    sent = Run(job=a_job(a_request(deadline_s=None)))
    received = decode_command(read_body(io.BytesIO(frame(sent))))
    assert received.job.request.due_s == math.inf


@given(st.binary(max_size=60))
def test_bytes_that_are_no_command_are_refused_and_never_run(body):
    try:
        command = decode_command(body)
    except msgspec.DecodeError:
        return
    assert isinstance(command, WorkerCommand)


def test_a_command_is_not_an_event():
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'Stop'"):
        decode_event(read_body(io.BytesIO(frame(Stop()))))
