"""RAM, then a disk that may be full, slow, damaged or gone."""

import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry

from fakes.noting_log import NotingLog
from safelight.core.errors import LatentsFileError
from safelight.latents.directory import ReuseDirectory
from safelight.latents.limits import ReuseLimits
from safelight.service.reuse.cache_folder import Scan, open_folder
from safelight.service.reuse.metrics import ReuseMetrics
from safelight.service.reuse.store import ReuseStore
from service.reuse.kept import a_kept

NOW = 200.0
SIZE_BYTES = a_kept().size_bytes


class OddFolder:
    """A folder in memory whose methods wait or fail."""

    path = "odd"

    def __init__(self):
        self.files = {}
        self.error = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def scan(self):
        self._act()
        return Scan(entries=tuple(kept.entry for kept in self.files.values()), damaged=0)

    def write(self, kept):
        self._act()
        self.files[kept.entry.id] = kept

    def read(self, entry_id):
        self._act()
        return self.files[entry_id]

    def remove(self, entry_id):
        self.files.pop(entry_id, None)

    def _act(self):
        self.may_go_on.wait()
        if self.error is not None:
            raise self.error


class Case:
    """A store over a folder, and what it has told."""

    def __init__(self, folder, *, ram_bytes=10 * SIZE_BYTES, max_bytes=1000, read_within_s=30.0):
        self.registry = CollectorRegistry()
        self.log = NotingLog()
        self.store = ReuseStore(
            ReuseDirectory(ReuseLimits(max_bytes=max_bytes)),
            ram_bytes=ram_bytes,
            folder=folder,
            metrics=ReuseMetrics(self.registry),
            log=self.log,
            read_within_s=read_within_s,
        )

    def faults(self, fault):
        return self.registry.get_sample_value("safelight_reuse_disk_faults_total", {"fault": fault}) or 0.0

    def add(self, entry_id, *, is_durable=True):
        kept = a_kept(id=entry_id, exact_key=entry_id)
        self.store.add(kept, NOW, is_durable=is_durable)
        return kept

    async def until(self, condition):
        for _ in range(30_000):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never happened")


def run(body):
    """Run a test's coroutine."""
    asyncio.run(body())


def test_a_picture_is_read_from_ram_and_then_from_disk():
    async def body():
        folder = OddFolder()
        case = Case(folder, ram_bytes=SIZE_BYTES)
        kept = case.add("one")
        assert await case.store.get(kept.entry) == kept
        await case.until(lambda: folder.files)
        case.add("two")
        await case.until(lambda: len(folder.files) == 2)
        assert await case.store.get(kept.entry) == kept
        case.store.close()

    run(body)


def test_a_later_run_serves_what_an_earlier_one_has_written(tmp_path):
    async def write():
        case = Case(open_folder(tmp_path))
        case.add("one")
        case.store.close()

    async def read():
        case = Case(open_folder(tmp_path))
        (entry,) = await case.store.load(NOW)
        assert (await case.store.get(entry)).entry == a_kept(id="one", exact_key="one").entry
        case.store.close()

    run(write)
    run(read)


def test_a_picture_that_means_nothing_after_a_restart_is_not_written():
    async def body():
        folder = OddFolder()
        case = Case(folder)
        case.add("one", is_durable=False)
        case.store.close()
        assert not folder.files

    run(body)


@pytest.mark.parametrize(
    ("error", "fault"), [(OSError(5, "Input/output error"), "read"), (LatentsFileError("it is cut off"), "damaged")]
)
def test_a_picture_that_cannot_be_read_is_a_miss_and_is_forgotten(error, fault):
    async def body():
        folder = OddFolder()
        case = Case(folder, ram_bytes=1)
        kept = case.add("one")
        await case.until(lambda: case.store._on_disk)
        folder.error = error
        assert await case.store.get(kept.entry) is None
        assert (case.faults(fault), len(case.store.directory)) == (1.0, 0)
        assert [facts["fault"] for facts in case.log.facts("reuse cache fails")] == [fault]
        case.store.close()

    run(body)


def test_a_full_disk_leaves_pictures_in_ram_and_is_said_once():
    async def body():
        folder = OddFolder()
        folder.error = OSError(28, "No space left on device")
        case = Case(folder)
        kept = [case.add("one"), case.add("two")]
        await case.until(lambda: case.faults("write") == 2)
        assert [await case.store.get(each.entry) for each in kept] == kept
        assert [facts["reason"] for facts in case.log.facts("reuse cache fails")] == ["No space left on device"]
        case.store.close()

    run(body)


def test_a_disk_that_hangs_is_a_miss_at_once_until_it_answers():
    async def body():
        folder = OddFolder()
        case = Case(folder, ram_bytes=1, read_within_s=0.01)
        kept = case.add("one")
        await case.until(lambda: case.store._on_disk)
        folder.may_go_on.clear()
        assert await case.store.get(kept.entry) is None
        began = case.faults("slow")
        assert await case.store.get(kept.entry) is None
        assert (began, case.faults("slow")) == (1.0, 2.0)
        folder.may_go_on.set()
        await case.until(lambda: not case.store._disk._late_reads)
        assert len(case.store.directory) == 1
        case.store.close()

    run(body)


def test_what_has_to_go_goes_from_disk_too():
    async def body():
        folder = OddFolder()
        case = Case(folder, max_bytes=100)
        for name in ("one", "two", "three"):
            case.add(name)
        case.store.purge(owner="alice", prompt=None)
        case.store.close()
        assert not folder.files
        assert not case.store.ram_bytes

    run(body)


def test_a_folder_that_cannot_be_listed_is_said_and_the_server_goes_on():
    async def body():
        folder = OddFolder()
        folder.error = OSError(5, "Input/output error")
        case = Case(folder)
        assert await case.store.load(NOW) == ()
        assert case.log.facts("reuse cache cannot be read")
        case.store.close()

    run(body)
