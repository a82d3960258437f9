from safelight.control.replica.effects import ReadAdapter
from safelight.core.adapter import AdapterHandle
from safelight.simulator.fleet.durations import Durations
from safelight.simulator.fleet.loads import AdapterReads
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.simulation import LoadCost, LoadTiers
from simulator.makers import adapters, workers

HANDLE = AdapterHandle(name="lora-0", generation=1)
TIERS = LoadTiers(remote=LoadCost(constant_s=10.0), disk=LoadCost(constant_s=1.0))


def reads_s(tier, count, **fields):
    """Return the seconds of some reads of one adapter, one after the other."""
    timeline, ends_s = Timeline(), []
    (adapter,) = adapters(1, tier=tier)
    reads = AdapterReads({HANDLE: adapter}, TIERS, timeline, **fields)
    for _ in range(count):
        begin_s = timeline.now_s
        reads.begin(ReadAdapter(handle=HANDLE, path=""), lambda result: None)
        timeline.pop()()
        ends_s.append(timeline.now_s - begin_s)
    return ends_s


def test_what_has_left_host_memory_comes_from_disk():
    assert reads_s("host", 3) == [0.0, 1.0, 1.0]
    assert reads_s("host", 1, is_first=False) == [1.0]


def test_a_restarted_worker_has_its_disk():
    disk = set()
    assert reads_s("remote", 2, on_disk=disk) == [11.0, 1.0]
    assert reads_s("remote", 1, on_disk=disk, is_first=False) == [1.0]


def test_a_slow_worker_loads_slowly():
    durations = Durations(workers(1)[0], seed=(0,))
    durations.slowness = 3.0
    assert reads_s("disk", 1, factor=durations.load_factor) == [3.0]
