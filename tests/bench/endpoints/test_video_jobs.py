"""Jobs for videos: their time, and how they are cleared away."""

import asyncio

import pytest

from bench.makers import make_config, make_requests, ran
from fakes.odd_server import answer, odd_server, read_request
from safelight.bench.endpoints.videos import Videos
from safelight.bench.load.runner import StopSignal, run


def jobs(*, made="queued", found="in_progress", creating_s=0.0, deleting_s=0.0, seen=None):
    """Take every job, whose state is as told."""

    async def serve(reader, writer):
        while True:
            client, _ = await read_request(reader)
            method = client.split()[0]
            await asyncio.sleep({"POST": creating_s, "DELETE": deleting_s}.get(method, 0.0))
            if seen is not None:
                seen.append(client)
            writer.write(answer(f'{{"id": "a", "status": "{made if method == "POST" else found}"}}'))

    return serve


@pytest.mark.parametrize("max_concurrency", [None, 1])
def test_a_job_has_ended_when_its_state_is_known_and_not_when_it_is_deleted(max_concurrency):
    server = odd_server(jobs(made="failed", deleting_s=0.5))
    done = ran(server, make_requests(2), endpoint=Videos(), max_concurrency=max_concurrency)
    assert [record.failure for record in done.records] == ["job_failed"] * 2
    assert done.duration_s < 0.5


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired"])
def test_a_job_that_was_given_up_is_not_waited_for(state):
    (record,) = ran(odd_server(jobs(found=state)), make_requests(1), endpoint=Videos()).records
    assert (record.failure, state in record.message) == ("job_failed", True)


def test_every_job_is_deleted_before_a_run_ends():
    seen = []
    ran(odd_server(jobs(made="failed", deleting_s=0.1, seen=seen)), make_requests(3), endpoint=Videos())
    assert seen.count("DELETE /v1/videos/a HTTP/1.1") == 3


def test_a_job_and_its_making_share_one_time_limit():
    (record,) = ran(odd_server(jobs(creating_s=0.5)), make_requests(1), endpoint=Videos(), timeout_s=0.6).records
    assert (record.failure, record.message) == ("timeout", "the job was not done within 0.6 s")
    assert record.done_s < 1.0


def test_a_run_is_stopped_though_the_server_does_not_delete_jobs():
    async def main():
        stop, loop = StopSignal(), asyncio.get_running_loop()
        async with odd_server(jobs(deleting_s=3600)) as url, asyncio.timeout(10):
            for delay_s in (0.2, 0.3):
                loop.call_later(delay_s, stop)
            return await run(make_config(url, make_requests(2), endpoint=Videos(), timeout_s=900), stop=stop)

    assert [record.failure for record in asyncio.run(main()).records] == ["cancelled"] * 2
