"""One answer, several readers."""

import asyncio

import pytest

from safelight.server.idempotency import RepeatableRequest, ResponseStore
from safelight.server.shared_response import SharedResponse

CHUNKS = [b"a", b"b", b"c"]


class Source:
    """Chunks that come one by one as they are let go; notes whether its maker was cancelled."""

    def __init__(self):
        self.gate = asyncio.Semaphore(0)
        self.was_cancelled = False

    async def chunks(self):
        try:
            for chunk in CHUNKS:
                await self.gate.acquire()
                yield chunk
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    def let_go(self):
        for _ in CHUNKS:
            self.gate.release()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_late_reader_gets_all_chunks():
    async def run():
        source = Source()
        answer = SharedResponse(source.chunks(), headers={})
        early = asyncio.create_task(answer.whole())
        source.let_go()
        return await early, await answer.whole()

    assert asyncio.run(run()) == (b"abc", b"abc")


@pytest.mark.parametrize("outlives_readers", [False, True])
def test_the_making_ends_with_its_last_reader_unless_it_outlives_them(outlives_readers):
    async def run():
        source = Source()
        answer = SharedResponse(source.chunks(), headers={}, outlives_readers=outlives_readers)
        readers = [asyncio.create_task(answer.whole()) for _ in range(2)]
        await settle()
        readers[0].cancel()
        await settle()
        assert not source.was_cancelled
        readers[1].cancel()
        await settle()
        return source.was_cancelled

    assert asyncio.run(run()) is not outlives_readers


def test_every_reader_is_told_what_went_wrong():
    async def fail():
        yield b"a"
        raise ValueError("no paint left")

    async def run():
        answer = SharedResponse(fail(), headers={})
        return await asyncio.gather(answer.whole(), answer.whole(), return_exceptions=True)

    assert [str(error) for error in asyncio.run(run())] == ["no paint left"] * 2


def test_the_end_is_told_once_with_whether_it_is_whole():
    async def run():
        source = Source()
        ends = []
        answer = SharedResponse(source.chunks(), headers={}, on_end=lambda answer: ends.append(answer.is_whole))
        source.let_go()
        await answer.whole()
        return ends

    assert asyncio.run(run()) == [True]


def test_a_repetition_that_comes_while_the_work_is_being_cancelled_starts_anew():
    async def run():
        store = ResponseStore(max_responses=4, max_bytes=1000)
        request = RepeatableRequest(caller="", key="key", fingerprint=b"")
        first = SharedResponse(Source().chunks(), headers={})
        store.put(request, first)
        assert store.find(request) is first
        departure = asyncio.ensure_future(asyncio.sleep(0))
        assert await first.whole(unless=departure) == b""
        assert store.find(request) is None
        await settle()

    asyncio.run(run())
