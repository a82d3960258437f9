"""What holds for the residency whatever is held, released, loaded, lost and forgotten, in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.makers import controlnet, lora, registered
from safelight.adapters.capacity import AdapterCapacity
from safelight.adapters.moves import EvictFromDevice, EvictFromHost, LoadToDevice, LoadToHost
from safelight.adapters.residency import Residency
from safelight.adapters.weights import Stage
from safelight.core.errors import RequestError

CAPACITY = AdapterCapacity(host_bytes=400, device_ranks=20, device_controlnets=1)
SPECS = [lora(f"lora{i}", rank=rank, weights_bytes=60 + 20 * i) for i, rank in enumerate((4, 5, 6, 8, 12, 20))]
SPECS += [controlnet("edges", weights_bytes=150), controlnet("depth", weights_bytes=90)]

places = st.integers(0, len(SPECS) - 1)
rows_of_places = st.lists(places, max_size=3, unique=True)


def is_admissible(adapters):
    try:
        CAPACITY.check([adapter.spec for adapter in adapters])
    except RequestError:
        return False
    return True


class ResidencyUnderFire(RuleBasedStateMachine):
    """A driver that obeys every move, and a twin that knows which rows are granted."""

    def __init__(self):
        super().__init__()
        self.residency = Residency(CAPACITY)
        self.now = 0.0
        self.adapters = [registered(spec) for spec in SPECS]
        self.specs = {spec.name: spec for spec in SPECS}
        self.host, self.device, self.loading = {}, {}, {}
        self.rows, self.lost = {}, set()
        self.expected = set()
        self.placed = []
        self.arrived = 0

    def granted(self):
        """Return the longest beginning of the line that fits; what it needs counts once."""
        granted, needed = set(), {}
        for row_id, row in self.rows.items():
            if row_id not in self.lost:
                needed |= {adapter.handle: adapter.spec for adapter in row}
                if not CAPACITY.holds(list(needed.values())):
                    break
                granted.add(row_id)
        return granted

    def fitting(self):
        """Return the placed adapters that fit beside those of granted rows, the first ones first."""
        rows = (row for row_id, row in self.rows.items() if row_id in self.granted())
        needed = {adapter.handle: adapter.spec for row in rows for adapter in row}
        chosen = []
        for handle in self.placed:
            spec = self.specs[handle.name]
            if handle not in needed and CAPACITY.holds([*needed.values(), *(self.specs[e.name] for e in chosen), spec]):
                chosen.append(handle)
        return chosen

    def users(self, handle, row_ids):
        return [row_id for row_id in row_ids if any(adapter.handle == handle for adapter in self.rows[row_id])]

    def obey(self, moves):
        for move in moves:
            self.obey_one(move, move.handle)
            assert sum(spec.weights_bytes for spec in self.host.values()) <= CAPACITY.host_bytes
            ranks = {handle: spec.rank for handle, spec in self.device.items() if spec.kind == "lora"}
            assert sum(ranks.values()) <= CAPACITY.device_ranks
            assert len(self.device) - len(ranks) <= CAPACITY.device_controlnets

    def obey_one(self, move, handle):
        assert handle not in self.loading, "a load under way is left alone"
        match move:
            case LoadToHost():
                assert handle not in self.host, "nothing is loaded twice"
                is_held = self.users(handle, self.rows.keys() - self.lost)
                is_wanted = is_held or handle in self.expected or handle in self.placed
                assert is_wanted, "nothing is loaded for nobody"
                reads = [place for place in self.loading.values() if place is self.host]
                assert is_held or not reads, "what is merely expected is read when nothing else is"
                self.host[handle] = self.specs[handle.name]
                self.loading[handle] = self.host
            case LoadToDevice():
                assert handle in self.host
                assert handle not in self.device, "nothing is loaded twice"
                is_needed = self.users(handle, self.granted())
                assert is_needed or handle in self.fitting(), "the device is for granted rows, and what is placed"
                self.device[handle] = self.specs[handle.name]
                self.loading[handle] = self.device
            case EvictFromDevice():
                assert not self.users(handle, self.granted()), "a granted row keeps its adapters"
                del self.device[handle]
            case EvictFromHost():
                assert not self.users(handle, self.granted()), "a granted row keeps its adapters"
                assert handle not in self.device
                del self.host[handle]

    @rule(row=rows_of_places, seconds=st.integers(0, 5))
    def arrive(self, row, seconds):
        self.now += seconds
        adapters = [self.adapters[place] for place in row]
        if is_admissible(adapters):
            self.arrived += 1
            self.rows[f"row{self.arrived}"] = adapters
            self.obey(self.residency.hold(f"row{self.arrived}", adapters, self.now))

    @rule(row=rows_of_places)
    def expect(self, row):
        adapters = [self.adapters[place] for place in row]
        self.expected = {adapter.handle for adapter in adapters}
        self.obey(self.residency.expect(adapters, self.now))

    @rule(row=rows_of_places)
    def place(self, row):
        adapters = [self.adapters[place] for place in row]
        dropped = set(self.placed) - {adapter.handle for adapter in adapters}
        self.placed = [adapter.handle for adapter in adapters]
        self.obey(self.residency.place(adapters, self.now))
        for handle in dropped & self.device.keys() - self.loading.keys():
            assert self.users(handle, self.rows), "what is placed no longer leaves the device"

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def leave(self, data):
        self.release(data.draw(st.sampled_from(list(self.rows))))

    def release(self, row_id):
        del self.rows[row_id]
        self.lost.discard(row_id)
        self.obey(self.residency.release(row_id, self.now))

    @precondition(lambda self: self.loading)
    @rule(data=st.data())
    def load(self, data):
        self.finish_load(data.draw(st.sampled_from(list(self.loading))))

    def finish_load(self, handle):
        del self.loading[handle]
        self.obey(self.residency.loaded(handle))

    @precondition(lambda self: self.loading)
    @rule(data=st.data())
    def fail(self, data):
        handle = data.draw(st.sampled_from(list(self.loading)))
        del self.loading.pop(handle)[handle]
        losers = self.users(handle, self.rows)
        assert self.residency.holders(handle) == tuple(losers)
        self.lost |= set(losers)
        self.expected.discard(handle)
        self.placed = [each for each in self.placed if each != handle]
        self.obey(self.residency.failed(handle))

    @precondition(lambda self: self.host.keys() - self.loading.keys())
    @rule(data=st.data())
    def lose(self, data):
        """Weights become useless, whoever needs them; those that do get them again."""
        handle = data.draw(st.sampled_from(sorted(self.host.keys() - self.loading.keys())))
        was_on_device = self.device.pop(handle, None) is not None
        del self.host[handle]
        moves = self.residency.lost(handle)
        evictions = [EvictFromDevice, EvictFromHost] if was_on_device else [EvictFromHost]
        assert [(type(move), move.handle) for move in moves[: len(evictions)]] == [(kind, handle) for kind in evictions]
        self.obey(moves[len(evictions) :])

    @rule(place=places)
    def replace(self, place):
        """Remove an adapter that no row holds, and give its name to another."""
        old = self.adapters[place]
        if not self.residency.holders(old.handle):
            self.adapters[place] = registered(old.spec, old.handle.generation + 1)
            self.expected.discard(old.handle)
            self.placed = [each for each in self.placed if each != old.handle]
            self.obey(self.residency.forget(old.handle))
            assert old.handle in self.loading or old.handle not in self.host

    def stage(self, handle):
        if handle in self.device:
            return Stage.TO_DEVICE if handle in self.loading else Stage.ON_DEVICE
        if handle in self.host:
            return Stage.TO_HOST if handle in self.loading else Stage.ON_HOST
        return Stage.ABSENT

    @invariant()
    def it_knows_where_everything_is(self):
        assert self.residency.host_bytes == sum(spec.weights_bytes for spec in self.host.values())
        for handle in {adapter.handle for adapter in self.adapters} | self.host.keys():
            assert self.residency.stage(handle) is self.stage(handle)

    @invariant()
    def ready_are_granted_rows_whose_adapters_are_all_on_the_device(self):
        granted = self.granted()
        for row_id, row in self.rows.items():
            are_there = all(self.stage(adapter.handle) is Stage.ON_DEVICE for adapter in row)
            assert self.residency.is_ready(row_id) == (are_there and (row_id in granted or not row))

    @invariant()
    def what_is_expected_is_on_its_way_while_there_is_room(self):
        taken = sum(spec.weights_bytes for spec in self.host.values())
        wanted = self.expected.union(self.fitting())
        lacking = [each.spec for each in self.adapters if each.handle in wanted and each.handle not in self.host]
        waiting = self.rows.keys() - self.granted() - self.lost
        if not self.loading and not waiting:
            assert all(taken + spec.weights_bytes > CAPACITY.host_bytes for spec in lacking)

    @invariant()
    def what_is_placed_and_read_is_on_the_device_while_it_fits_beside_granted_rows(self):
        if not self.loading:
            assert all(handle in self.device for handle in self.fitting() if handle in self.host)

    @invariant()
    def only_loads_keep_a_granted_row_waiting(self):
        assert self.loading or all(self.residency.is_ready(row_id) for row_id in self.granted())

    def teardown(self):
        """In the end, every row gets all of its adapters, in the order of the line."""
        while waiting := [row_id for row_id in self.rows if row_id not in self.lost]:
            while self.loading:
                self.finish_load(next(iter(self.loading)))
            assert self.residency.is_ready(waiting[0])
            self.release(waiting[0])


ResidencyUnderFire.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestResidencyUnderFire = ResidencyUnderFire.TestCase
