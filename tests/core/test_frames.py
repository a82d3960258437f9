import io
import math
import string
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safelight.core.start import LatentsStart, PictureStart

from safelight.core.adapter import AdapterSpec, AdapterUse, ControlUse
from safelight.core.frames import decode_command, decode_event, frame, read_body
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    AddAdapter,
    Cancel,
    Captured,
    Dropped,
    Failed,
    Finished,
    Job,
    Pause,
    Paused,
    PausedRow,
    Prefetch,
    Ready,
    RemoveAdapter,
    Run,
    Started,
    Stepped,
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
uses = st.builds(AdapterUse, name=words, scale=st.floats(allow_nan=False))
controls = st.builds(ControlUse, name=words, scale=st.floats(allow_nan=False), image=pixels)
starts = st.one_of(
    st.builds(PictureStart, image=pixels, mask=st.none() | st.binary(max_size=100)),
    st.builds(LatentsStart, file=st.binary(max_size=100)),
)
requests = st.builds(
    ImageRequest,
    id=words,
    prompt=words,
    width=counts,
    height=counts,
    steps=counts,
    guidance_scale=st.floats(allow_nan=False),
    seed=st.integers(min_value=0, max_value=2**63 - 1),
    arrived_s=times_s,
    preview_every=counts,
    deadline_s=st.none() | times_s,
    loras=st.lists(uses, max_size=3).map(tuple),
    grace_steps=counts,
    controls=st.lists(controls, max_size=2).map(tuple),
    start=st.none() | starts,
    first_step=counts,
    captures=st.lists(seconds, max_size=2).map(tuple),
)
paused = st.builds(PausedRow, steps_run=counts, file=st.binary(max_size=100))
COMMANDS = {
    Run: st.builds(Run, job=st.builds(Job, request=requests, attempt=counts, paused=st.none() | paused)),
    Cancel: st.builds(Cancel, request_id=words),
    Pause: st.builds(Pause, request_id=words),
    Stop: st.builds(Stop),
    AddAdapter: st.builds(AddAdapter, handle=words, name=words, path=words),
    RemoveAdapter: st.builds(RemoveAdapter, handle=words),
    Prefetch: st.builds(Prefetch, handles=st.lists(words, max_size=3).map(tuple)),
}
EVENTS = {
    Ready: st.builds(Ready, models=st.lists(specs, max_size=2).map(tuple), max_denoiser_rows=counts),
    Started: st.builds(Started, request_id=words),
    Stepped: st.builds(Stepped, request_id=words, step=counts, steps=counts, preview=st.none() | pixels),
    Ticked: st.builds(Ticked, model=words, denoiser_rows=counts, seconds=seconds),
    Captured: st.builds(Captured, request_id=words, noise=seconds, file=st.binary(max_size=100)),
    Paused: st.builds(Paused, request_id=words, row=st.none() | paused),
    Finished: st.builds(
        Finished,
        request_id=words,
        picture=pixels,
        compute_s=seconds,
        prompt_tokens=counts,
        steps_without_loras=counts,
    ),
    Failed: st.builds(Failed, request_id=words, message=words),
    Dropped: st.builds(Dropped, request_id=words),
    AdapterAdded: st.builds(AdapterAdded, handle=words, spec=adapter_specs),
    AdapterRefused: st.builds(AdapterRefused, handle=words, message=words),
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
    request = ImageRequest(
        id="one",
        model="m",
        prompt="a red circle",
        width=64,
        height=64,
        steps=25,
        guidance_scale=3.0,
        sampler="euler",
        seed=1,
        arrived_s=10.0,
    )
    received = decode_command(read_body(io.BytesIO(frame(Run(job=Job(request=request))))))
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
