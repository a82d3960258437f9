import asyncio
import dataclasses
import gc
import json
import time
from itertools import pairwise

import msgspec
import pytest

from bench.makers import make_config, make_requests, null_server, ran
from fakes import odd_server as odd
from safelight.bench.client.event_loop import loop_factory
from safelight.bench.client.http_client import ServerConfig
from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.endpoints.generations import Generations, StreamedGenerations
from safelight.bench.endpoints.registry import ENDPOINTS
from safelight.bench.endpoints.videos import Videos
from safelight.bench.errors import BadLoad
from safelight.bench.load.runner import StopSignal, run
from safelight.bench.media.inputs import input_of
from safelight.bench.media.shape import Shape
from safelight.bench.null_server import png_of
from safelight.bench.requests import RequestedAdapter


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("as_json", [False, True])
def test_every_endpoint_serves_and_leaves_nothing_behind(endpoint, as_json):
    options = RequestOptions(default_inputs=[input_of(png_of("start", 64, 64), "start")], video_as_json=as_json)
    done = ran(null_server(step_s=0.001), make_requests(4), endpoint=endpoint, options=options)
    assert [record.failure for record in done.records] == [""] * 4
    assert (done.unsent, done.unchecked, done.is_partial) == (0, 0, False)


def test_an_open_loop_sends_on_time_though_the_server_does_not_answer():
    done = ran(odd.odd_server(odd.hang), make_requests(20, every_s=0.01), timeout_s=0.5)
    assert {record.failure for record in done.records} == {"timeout"}
    assert max(record.sent_s for record in done.records) < 0.5


def test_latency_counts_from_when_a_request_was_due():
    done = ran(null_server(workers=1, fixed_s=0.02), make_requests(5))
    latencies_s = sorted(record.latency_s for record in done.records)
    assert all(latency_s >= 0.02 * location for location, latency_s in enumerate(latencies_s, 1))


def test_a_client_that_is_late_has_its_lag_within_the_latency():
    requests = [msgspec.structs.replace(request, due_s=-0.5) for request in make_requests(5)]
    done = ran(null_server(), requests)
    assert all(record.latency_s >= record.send_lag_s >= 0.5 for record in done.records)


def test_a_closed_loop_has_no_more_in_flight_than_it_may():
    done = ran(null_server(workers=2, queue=0, fixed_s=0.01), make_requests(10), max_concurrency=2)
    assert [record.failure for record in done.records] == [""] * 10


def test_the_wait_for_a_turn_is_told_apart_from_the_latency():
    done = ran(null_server(fixed_s=0.05), make_requests(3, every_s=0.01), max_concurrency=1)
    assert [record.due_s for record in done.records] == [0.0, 0.01, 0.02]
    assert done.records[2].wait_s >= 2 * 0.05 - 0.02
    assert all(after.released_s >= before.done_s for before, after in pairwise(done.records))


def test_a_full_server_turns_requests_away_and_that_is_told():
    done = ran(null_server(workers=1, queue=1, fixed_s=0.2), make_requests(5))
    assert sorted(record.failure for record in done.records) == ["", "", "rejected", "rejected", "rejected"]


def test_a_run_that_is_stopped_keeps_what_it_has():
    async def main():
        stop = StopSignal()
        async with null_server() as url:
            asyncio.get_running_loop().call_later(0.25, stop)
            return await run(make_config(url, make_requests(50, every_s=0.05)), stop=stop)

    done = asyncio.run(main())
    assert done.is_partial
    assert 1 <= len(done.records) < 50
    assert len(done.records) + done.unsent == 50


def test_requests_in_flight_when_a_run_is_stopped_are_told_apart():
    async def main():
        stop = StopSignal()
        async with odd.odd_server(odd.hang) as url:
            asyncio.get_running_loop().call_later(0.1, stop)
            return await run(make_config(url, make_requests(3)), stop=stop)

    assert [record.failure for record in asyncio.run(main()).records] == ["cancelled"] * 3


def test_every_shape_is_warmed_up_with_few_steps():
    seen = []

    async def note(reader, writer):
        while True:
            seen.append((await odd.read_request(reader))[1])
            writer.write(odd.answer(odd.picture()))

    requests = [*make_requests(1), *make_requests(1, shape=Shape(128, 64, None, 9)), *make_requests(1)]
    ran(odd.odd_server(note), requests, warm_up_rounds=2, warm_up_steps=2, checks_pictures=False)
    warm = [body for body in seen if b'"num_inference_steps":2' in body]
    assert (len(warm), sum(b'"128x64"' in body for body in warm)) == (4, 2)


def test_requests_carry_what_the_trace_says():
    seen = []

    async def note(reader, writer):
        while True:
            seen.append((await odd.read_request(reader))[1])
            writer.write(odd.answer(odd.picture()))

    requests = make_requests(1, loras=(RequestedAdapter("glow", 0.5),), deadline_s=3.0, seed=7, negative_prompt="grey")
    ran(
        odd.odd_server(note),
        requests,
        options=RequestOptions(model="m", extra_body={"quality": "low"}, sends_deadlines=True),
    )
    assert seen[0] == (
        b'{"model":"m","prompt":"prompt 0","n":1,"size":"64x64","response_format":"b64_json","negative_prompt":"grey",'
        b'"num_inference_steps":4,"seed":7,"deadline_s":3.0,"loras":[{"name":"glow","scale":0.5}],"quality":"low"}'
    )


def test_a_stream_tells_when_its_first_preview_came():
    done = ran(null_server(fixed_s=0.05), make_requests(1), endpoint=StreamedGenerations())
    (record,) = done.records
    assert record.previews == 2
    assert record.first_preview_s < record.done_s - 0.04


@pytest.mark.parametrize("estimator", ["omni", "fit"])
def test_estimated_deadlines_are_multiples_of_what_warm_ups_took(estimator):
    requests = make_requests(2, shape=Shape(64, 64, None, 20))
    done = ran(
        null_server(fixed_s=0.2, step_s=0.02),
        requests,
        estimator=estimator,
        slo_scale=2.0,
        warm_up_rounds=1,
    )
    own_s = 0.6
    expected_s = {"fit": 2 * own_s, "omni": 2 * 20 * (0.2 + 2 * 0.02) / 2}[estimator]
    assert done.records[0].request.deadline_s == pytest.approx(expected_s, rel=0.3)


def test_a_deadline_of_the_trace_is_never_replaced_by_an_estimate():
    requests = [*make_requests(1, deadline_s=9.0), *make_requests(1)]
    done = ran(null_server(), requests, estimator="omni", warm_up_rounds=1)
    assert sorted(record.request.deadline_s == 9.0 for record in done.records) == [False, True]


def test_deadlines_are_not_estimated_without_sizes():
    with pytest.raises(BadLoad, match="--width"):
        ran(null_server(), make_requests(1, shape=Shape(steps=4)), estimator="omni", warm_up_rounds=1)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://here", "http://", "", "http://[::1"])
def test_what_is_no_address_is_refused_before_all_work(url):
    with pytest.raises(BadLoad, match="no address"):
        make_config(url, make_requests(1))


def test_pictures_of_captions_are_scored_in_the_same_run():
    done = ran(null_server(), make_requests(2), scores_scenes=True)
    assert all(0.0 <= record.scene_score <= 1.0 for record in done.records)


@pytest.mark.parametrize("checks", [False, True])
def test_pictures_are_saved_under_names_that_stay_within_the_folder(tmp_path, checks):
    requests = [msgspec.structs.replace(request, request_id=f"../{request.request_id}") for request in make_requests(2)]
    ran(null_server(), requests, save_to=tmp_path, checks_pictures=checks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_r0-0.png", "_r1-0.png"]
    assert (tmp_path / "_r0-0.png").read_bytes() == png_of("prompt 0", 64, 64)
    assert list(tmp_path.parent.glob("r*")) == []


def test_a_folder_that_takes_no_pictures_does_not_fail_the_requests(tmp_path):
    done = ran(null_server(), make_requests(2), save_to=tmp_path / "missing")
    assert [record.failure for record in done.records] == ["", ""]


def test_records_of_one_moment_are_in_the_order_in_which_they_were_sent():
    async def answer_the_first_last(reader, writer):
        while True:
            _, body = await odd.read_request(reader)
            await asyncio.sleep(0.2 if b"prompt 0" in body else 0.0)
            writer.write(odd.answer(odd.picture()))

    done = ran(odd.odd_server(answer_the_first_last), make_requests(3), checks_pictures=False)
    assert [record.request.request_id for record in done.records] == ["r0", "r1", "r2"]
    assert done.records[0].done_s == done.duration_s


def test_a_video_to_start_from_goes_along():
    seen = []

    async def note(reader, writer):
        while True:
            seen.append((await odd.read_request(reader))[1])
            writer.write(odd.answer('{"id": "a", "status": "failed", "error": "no"}'))

    video = input_of(b"\0\0\0\x18ftypisom a video", "a.mp4")
    done = ran(
        odd.odd_server(note), make_requests(1), endpoint=Videos(), options=RequestOptions(default_inputs=[video])
    )
    assert done.records[0].failure == "job_failed"
    assert b"a video" in seen[0]
    assert b"video/mp4" in seen[0]


@pytest.mark.parametrize("max_concurrency", [None, 50])
def test_no_request_is_sent_before_it_is_due_by_the_loop_that_bench_runs_on(max_concurrency):
    async def main():
        async with null_server() as url:
            return await run(make_config(url, make_requests(150, every_s=0.0017), max_concurrency=max_concurrency))

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        done = runner.run(main())
    assert all(record.sent_s >= record.due_s for record in done.records)


def test_a_run_tells_the_time_at_which_its_clock_started():
    collected_at = []

    def note(phase, info):
        if phase == "stop" and info["generation"] == 2:
            collected_at.append(time.time())

    gc.callbacks.append(note)
    try:
        done = ran(null_server(), make_requests(1))
    finally:
        gc.callbacks.remove(note)
    assert done.began_at >= collected_at[0]


class Faulty(Generations):
    """An endpoint with an error of its own."""

    async def send(self, request, options, client, until_s):
        if request.request_id == "r1":
            return 1 // 0
        return await super().send(request, options, client, until_s)


def test_an_error_of_the_benchmarks_own_fails_one_request_and_is_named():
    done = ran(null_server(), make_requests(3), endpoint=Faulty())
    found = {record.request.request_id: record for record in done.records}
    assert [found[f"r{number}"].failure for number in range(3)] == ["", "client_error", ""]
    assert "ZeroDivisionError at test_load.py:" in found["r1"].message


def with_connections(config, count):
    return dataclasses.replace(config, server=dataclasses.replace(config.server, connections=count))


def test_waits_for_a_connection_inside_the_client_are_said():
    said = []

    async def main():
        async with null_server(fixed_s=0.02) as url:
            return await run(with_connections(make_config(url, make_requests(3)), 1), notify=said.append)

    assert all(record.is_success for record in asyncio.run(main()).records)
    assert "2 times a request waited for one of the --connections" in said[0]


def test_a_request_that_gets_no_connection_does_not_blame_the_server():
    async def main():
        async with odd.odd_server(odd.hang) as url:
            return await run(with_connections(make_config(url, make_requests(5), timeout_s=0.3), 1))

    assert "client_limit" in {record.failure for record in asyncio.run(main()).records}


def test_streams_are_read_to_their_end_so_that_connections_are_kept():
    connections = []

    async def stream(reader, writer):
        connections.append(writer)
        while True:
            await odd.read_request(reader)
            await asyncio.sleep(0.03)
            done = json.dumps({"type": "image_generation.completed", **odd.GOOD["data"][0]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(odd.chunk(b"data: " + done + b"\n\n"))
            await asyncio.sleep(0.01)
            writer.write(odd.chunk(b"data: [DONE]\n\n") + odd.chunk(b""))

    endpoint = StreamedGenerations()
    done = ran(odd.odd_server(stream), make_requests(5), max_concurrency=1, endpoint=endpoint, checks_pictures=False)
    assert all(record.is_success for record in done.records)
    assert len(connections) <= 2


@pytest.mark.parametrize("end", ["?model=x", "#x", "/v1?", "/#"])
def test_an_address_behind_which_no_path_can_be_put_is_refused(end):
    with pytest.raises(BadLoad, match="no path can be put"):
        ServerConfig(url=f"http://127.0.0.1:8000{end}")


@pytest.mark.parametrize("url", ["http://me:secret@host:80/x", "ftp://me:secret@host", "http://me:secret@host/?"])
def test_an_address_is_shown_without_its_password(url):
    try:
        shown = ServerConfig(url=url).public_url
    except BadLoad as error:
        shown = str(error)
    assert "secret" not in shown
    assert "//host" in shown


def test_a_user_in_the_address_and_a_key_beside_it_are_refused():
    with pytest.raises(BadLoad, match="leave one out"):
        ServerConfig(url="http://me:secret@host", headers={"authorization": "Bearer x"})


def test_a_user_in_the_address_is_told_to_the_server_and_nothing_packed_is_asked_for():
    heads = []

    async def note(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async def main():
        async with odd.odd_server(note) as url:
            await run(make_config(url.replace("//", "//me:secret@"), make_requests(1)))

    asyncio.run(main())
    assert b"\r\nAuthorization: Basic bWU6c2VjcmV0\r\n" in heads[0]
    assert b"\r\nAccept-Encoding: identity\r\n" in heads[0]
