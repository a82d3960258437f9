"""What holds for a replica whatever it is sent and whatever goes wrong: a worker obeys it, and checks each effect."""

from collections import Counter, deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.makers import LARGE, SMALL, job, paces, spec, use
from safelight.adapters.capacity import AdapterCapacity
from safelight.adapters.modes import ADAPTER_MODES
from safelight.control.batching.policies import BATCHING_POLICIES
from safelight.control.order.policies import ORDER_POLICIES
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.effects import (
    BeginRows,
    CaptureRow,
    CopyAdapter,
    DropRow,
    Emit,
    EquipRows,
    EvictAdapter,
    FinishRows,
    Fold,
    ForgetAdapter,
    ForgetLatents,
    KeepLatents,
    PauseRow,
    PreviewRow,
    ReadAdapter,
    ResumeRow,
    SendLatents,
    SendPicture,
    Step,
)
from safelight.control.replica.events import (
    AdapterCopied,
    AdapterNotCopied,
    AdapterNotRead,
    AdapterRead,
    Decoded,
    Drained,
    Folded,
    LatentsKept,
    LatentsNotKept,
    NotFolded,
    NotPrepared,
    Prepared,
    RowPaused,
    StepFailed,
    StepLostAdapter,
    Stepped,
)
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec
from safelight.core.job import Job, PausedRow
from safelight.core.model import AdapterCosts
from safelight.core.source import LatentsHandle
from safelight.core.work import (
    AddAdapter,
    Cancel,
    Captured,
    DropLatents,
    Dropped,
    Failed,
    FetchLatents,
    LatentsDropped,
    LatentsFetched,
    Pause,
    Paused,
    Place,
    Prefetch,
    PutLatents,
    RemoveAdapter,
    Run,
    Ticked,
)

COSTS = AdapterCosts(switch_s=0.01, unmerged_overhead=0.5, correction_overhead=0.25)
CAPACITY = AdapterCapacity(host_bytes=400, device_ranks=20, device_controlnets=1)
LATENTS_BYTES, ONE_LATENTS_BYTES = 250, 100
MOST_ROWS = 4
RANKS = {"outline": 4, "pastel": 8, "neon": 12, "wide": 20}
NETS = ("edges", "depth")
NAMES = (*RANKS, *NETS)

names = st.sampled_from(NAMES)
luck = st.sampled_from([True] * 9 + [False])


def handle(name):
    return AdapterHandle(name=name, generation=1)


def spec_of(name):
    kind = "lora" if name in RANKS else "controlnet"
    ranks = (RANKS[name],) if name in RANKS else ()
    return AdapterSpec(name=name, kind=kind, model=LARGE, weights_bytes=100, ranks=ranks)


@dataclass
class EngineRow:
    """A row as an engine has it."""

    job: Job
    bare_steps: int
    steps_run: int = 0
    is_done: bool = field(default=False)

    @property
    def composition(self):
        return self.job.composition

    @property
    def lacks_loras(self):
        return not self.job.request.loras


class ReplicaUnderFire(RuleBasedStateMachine):
    """A worker with an engine that obeys and checks every effect, at times in vain."""

    def __init__(self):
        super().__init__()
        self.machine = None
        self.now = 0.0
        self.jobs, self.ends, self.paused = {}, Counter(), []
        self.rows, self.decoded = {}, set()
        self.reading, self.host, self.device, self.lost = Counter(), set(), set(), set()
        self.added = set()
        self.folded = dict.fromkeys((LARGE, SMALL), NO_ADAPTERS)
        self.latents = set()
        self.data = None

    @rule(
        mode=st.sampled_from(ADAPTER_MODES),
        order=st.sampled_from(ORDER_POLICIES),
        batching=st.sampled_from(BATCHING_POLICIES),
        known=st.sets(names, min_size=4),
    )
    @precondition(lambda self: self.machine is None)
    def start(self, mode, order, batching, known):
        config = ReplicaConfig(
            max_denoiser_rows=MOST_ROWS,
            adapter_mode=mode,
            order=order,
            batching=batching,
            adapter_capacity=CAPACITY,
            latents_bytes=LATENTS_BYTES,
        )
        speeds = paces(spec(LARGE, adapter_costs=COSTS), spec(SMALL))
        self.machine = ReplicaMachine(speeds, config=config)
        for name in sorted(known):
            self.add_adapter(name)
            self.end_read(handle(name))

    # The driver's contract: effects one after another, results at once.

    def report(self, event, data=None):
        if self.machine is None:
            return
        self.data = data
        self.now += 0.01
        effects = deque(self.machine.handle(event, self.now))
        while effects:
            result = self.obey(effects.popleft())
            if result is not None:
                self.now += 0.001
                effects.extend(self.machine.handle(result, self.now))

    def works(self):
        return self.data is None or self.data.draw(luck)

    def obey(self, effect):
        match effect:
            case ReadAdapter() | CopyAdapter() | EvictAdapter() | ForgetAdapter():
                return self.move(effect)
            case BeginRows() | ResumeRow() | EquipRows():
                return self.prepare(effect)
            case Fold() | Step() | CaptureRow() | PreviewRow() | FinishRows():
                return self.tick(effect)
            case DropRow() | PauseRow() | SendPicture():
                return self.end_row(effect)
            case KeepLatents() | SendLatents() | ForgetLatents():
                return self.keep(effect)
            case Emit(event=event):
                return self.note(event)

    def move(self, effect):
        handle = effect.handle
        match effect:
            case ReadAdapter():
                assert handle not in self.host, "nothing is read twice"
                self.reading[handle] += 1
                assert self.reading[handle] == 1
            case CopyAdapter():
                assert handle in self.host
                assert handle not in self.device, "nothing is copied twice"
                if not self.works():
                    return AdapterNotCopied(handle=handle, reason="full")
                self.device.add(handle)
                self.lost.discard(handle)
                return AdapterCopied(handle=handle)
            case EvictAdapter():
                assert handle not in self.used() or handle in self.lost, "rows keep their adapters"
                self.device.remove(handle)
                for model, folded in self.folded.items():
                    if folded is not None and handle in folded.handles:
                        self.folded[model] = NO_ADAPTERS
            case ForgetAdapter():
                assert handle not in self.device
                self.host.discard(handle)
        return None

    def used(self):
        return {handle for row in self.rows.values() for handle in row.job.handles if not row.is_done}

    def prepare(self, effect):
        jobs = (effect.job,) if isinstance(effect, ResumeRow) else effect.jobs
        assert len({each.level.model for each in jobs}) == 1
        for each in jobs:
            assert each.id in self.jobs
            assert self.device.issuperset(each.handles), "no row begins without what it uses"
        ids = tuple(each.id for each in jobs)
        if not self.works():
            return NotPrepared(request_ids=ids, reason="out of memory")
        for each in jobs:
            if isinstance(effect, EquipRows):
                assert self.rows[each.id].lacks_loras, "LoRAs come once"
                self.rows[each.id].job = each
                continue
            assert each.id not in self.rows, "a row begins once"
            assert isinstance(effect, ResumeRow) == (each.paused is not None)
            paused = each.paused or PausedRow(steps_run=0, file=b"")
            self.rows[each.id] = EngineRow(job=each, bare_steps=paused.steps_without_loras, steps_run=paused.steps_run)
        return Prepared(request_ids=ids, seconds=0.01)

    def tick(self, effect):
        match effect:
            case Fold(model=model, composition=composition):
                assert self.device.issuperset(composition.handles)
                assert self.folded[model] != composition, "nothing is folded in vain"
                if not self.works():
                    self.folded[model] = None
                    return NotFolded(model=model, reason="out of memory")
                self.folded[model] = composition
                return Folded(model=model)
            case Step():
                return self.step(effect)
            case CaptureRow(request_id=request_id):
                assert request_id in self.rows
                captured = LatentsHandle(id=f"{request_id}:{self.rows[request_id].steps_run}")
                self.latents.add(captured)
                return Captured(request_id=request_id, handle=captured, noise=0.5, latents_bytes=ONE_LATENTS_BYTES)
            case PreviewRow(request_id=request_id, step=step, steps=steps):
                assert 0 < step == self.rows[request_id].steps_run < steps
            case FinishRows(request_ids=ids):
                for request_id in ids:
                    row = self.rows[request_id]
                    assert row.steps_run == row.job.level.steps_to_run
                    row.is_done = True
                    self.decoded.add(request_id)
                return Decoded(request_ids=ids, seconds=0.01, prompt_tokens=(3,) * len(ids))
        return None

    def step(self, step):
        rows = [self.rows[request_id] for request_id in step.request_ids]
        assert rows
        assert len({row.job.id for row in rows}) == len(rows)
        assert {row.job.kind for row in rows} == {(step.model, step.width, step.height)}
        assert step.denoiser_rows == sum(row.job.level.denoiser_rows for row in rows)
        assert step.denoiser_rows <= MOST_ROWS or len(rows) == 1
        for row in rows:
            needed = self.jobs[row.job.id]
            assert self.device.issuperset(row.job.handles), "no row steps without what it uses"
            assert {handle(use.name) for use in needed.request.controlnets} <= set(row.job.handles)
        folded = self.folded[step.model]
        if step.model == LARGE:
            misfits = sum(row.job.level.denoiser_rows for row in rows if row.composition != folded)
            assert step.misfit_rows == misfits, "the replica knows what the weights hold"
        nets = sorted(self.device & {handle(name) for name in NETS} & {h for row in rows for h in row.job.handles})
        if not self.works():
            if nets:
                self.lost.add(nets[0])
                return StepLostAdapter(handle=nets[0], reason="gone")
            return StepFailed(reason="out of memory")
        for row in rows:
            row.steps_run += 1
            if self.jobs[row.job.id].request.loras and row.lacks_loras:
                row.bare_steps += 1
                assert row.bare_steps <= row.job.request.grace_steps, "grace is never exceeded"
        broken = () if self.works() else (rows[0].job.id,)
        return Stepped(seconds=0.02, broken_ids=broken)

    def end_row(self, effect):
        request_id = effect.request_id
        match effect:
            case DropRow():
                self.rows.pop(request_id, None)
            case PauseRow():
                row = self.rows.pop(request_id)
                return RowPaused(request_id=request_id, row=PausedRow(steps_run=row.steps_run, file=b"latents"))
            case SendPicture():
                self.decoded.remove(request_id)
                row = self.rows.pop(request_id)
                assert effect.steps_without_loras == row.bare_steps
                self.end(request_id)
        return None

    def keep(self, effect):
        match effect:
            case KeepLatents():
                if not self.works():
                    return LatentsNotKept(handle=effect.handle)
                self.latents.add(effect.handle)
                return LatentsKept(handle=effect.handle, latents_bytes=ONE_LATENTS_BYTES)
            case SendLatents():
                assert effect.handle in self.latents
            case ForgetLatents():
                self.latents.remove(effect.handle)
        return None

    def note(self, event):
        match event:
            case Failed(request_id=request_id) | Dropped(request_id=request_id):
                self.end(request_id)
            case Paused(request_id=request_id, row=row):
                self.paused.append((self.jobs[request_id], row))
                self.end(request_id)
            case Ticked(seconds=seconds, plain_s=plain_s):
                assert 0 < plain_s <= seconds
            case LatentsDropped(handle=handle):
                assert handle not in self.latents
            case LatentsFetched(handle=handle, file=None):
                assert handle not in self.latents

    def end(self, request_id):
        assert request_id not in self.rows, "an ended job has no row"
        self.ends[request_id] += 1
        assert self.ends[request_id] == 1, "a job ends once"
        del self.jobs[request_id]

    @precondition(lambda self: self.machine is not None)
    @rule(
        loras=st.lists(st.sampled_from(list(RANKS)), max_size=2, unique=True),
        nets=st.lists(st.sampled_from(NETS), max_size=1),
        fields=st.fixed_dictionaries(
            {
                "steps": st.integers(1, 6),
                "is_guided": st.booleans(),
                "deadline_s": st.none() | st.floats(0.01, 5),
                "grace_steps": st.integers(0, 3),
                "previews": st.integers(0, 2),
                "captures": st.sampled_from([(), (0.5,)]),
            }
        ),
        is_small=luck.map(lambda is_lucky: not is_lucky),
        may_be_unknown=luck.map(lambda is_lucky: not is_lucky),
        data=st.data(),
    )
    def run(self, loras, nets, fields, is_small, may_be_unknown, data):
        name = f"r{len(self.ends) + len(self.jobs)}"
        if not may_be_unknown:
            loras, nets = ([each for each in some if each in self.added] for some in (loras, nets))
        uses = () if is_small else tuple(use(each) for each in loras)
        controlnets = () if is_small else tuple(handle(each) for each in nets)
        model = SMALL if is_small else LARGE
        self.take(job(name, model=model, loras=uses, controlnets=controlnets, arrived_s=self.now, **fields), data)

    def take(self, taken, data):
        self.jobs[taken.id] = taken
        self.report(Run(job=taken), data)

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def resume(self, data):
        """A paused job comes back, under a name of its own, as if to another worker."""
        old, row = self.paused.pop()
        name = f"r{len(self.ends) + len(self.jobs)}"
        loras = tuple(use(each.name) for each in old.request.loras)
        nets = tuple(handle(each.name) for each in old.request.controlnets)
        fields = {"steps": old.level.steps, "grace_steps": old.request.grace_steps, "model": old.level.model}
        self.take(job(name, loras=loras, controlnets=nets, paused=row, arrived_s=self.now, **fields), data)

    @precondition(lambda self: self.jobs)
    @rule(kind=st.sampled_from([Cancel, Pause, Pause]), data=st.data())
    def withdraw(self, kind, data):
        self.report(kind(request_id=data.draw(st.sampled_from(sorted(self.jobs)))), data)

    @precondition(lambda self: self.machine is not None)
    @rule(name=names, data=st.data())
    def add(self, name, data):
        self.add_adapter(name, data)

    def add_adapter(self, name, data=None):
        self.added.add(name)
        self.report(AddAdapter(handle=handle(name), path=name), data)

    @precondition(lambda self: self.added)
    @rule(data=st.data())
    def remove(self, data):
        name = data.draw(st.sampled_from(sorted(self.added)))
        if all(handle(name) not in each.handles for each in self.jobs.values()) and not self.reading[handle(name)]:
            self.added.discard(name)
            self.report(RemoveAdapter(handle=handle(name)), data)

    @precondition(lambda self: self.machine is not None)
    @rule(kind=st.sampled_from([Prefetch, Place]), some=st.lists(names, max_size=3, unique=True), data=st.data())
    def read_ahead(self, kind, some, data):
        self.report(kind(handles=tuple(map(handle, some))), data)

    @precondition(lambda self: +self.reading)
    @rule(data=st.data())
    def read(self, data):
        read = data.draw(st.sampled_from(sorted(+self.reading)))
        self.end_read(read, data, works=data.draw(luck), is_service_lost=data.draw(luck))

    def end_read(self, read, data=None, *, works=True, is_service_lost=False):
        self.reading[read] -= 1
        if works:
            self.host.add(read)
            self.report(AdapterRead(handle=read, spec=spec_of(read.name)), data)
        else:
            self.report(AdapterNotRead(handle=read, reason="odd", is_service_lost=is_service_lost), data)

    @precondition(lambda self: self.machine is not None)
    @rule(number=st.integers(0, 3), kind=st.sampled_from([FetchLatents, DropLatents, PutLatents]), data=st.data())
    def deal_in_latents(self, number, kind, data):
        known = sorted(self.latents)
        chosen = known[number % len(known)] if known and number else LatentsHandle(id=f"sent{number}")
        fields = {"file": b"latents"} if kind is PutLatents else {}
        self.report(kind(handle=chosen, **fields), data)

    @precondition(lambda self: self.machine is not None and not self.machine.is_idle)
    @rule(ticks=st.integers(1, 5), data=st.data())
    def drain(self, ticks, data):
        for _ in range(ticks):
            self.report(Drained(), data)

    @precondition(lambda self: self.jobs)
    @rule(ticks=st.integers(1, 5), data=st.data())
    def read_and_drain(self, ticks, data):
        for _ in range(ticks):
            if +self.reading:
                self.end_read(min(+self.reading), data)
            self.report(Drained(), data)

    @invariant()
    def capacities_hold(self):
        assert sum(spec_of(each.name).weights_bytes for each in self.host) <= CAPACITY.host_bytes
        assert sum(RANKS.get(each.name, 0) for each in self.device) <= CAPACITY.device_ranks
        assert sum(each.name in NETS for each in self.device) <= CAPACITY.device_controlnets
        assert len(self.latents) * ONE_LATENTS_BYTES <= LATENTS_BYTES

    @invariant()
    def nothing_is_half_done(self):
        assert not self.decoded
        assert self.rows.keys() <= self.jobs.keys()

    @invariant()
    def an_idle_worker_waits_for_reads_only(self):
        if self.machine is not None and self.machine.is_idle and self.jobs:
            assert +self.reading

    def teardown(self):
        """When nothing goes wrong any more, all jobs end, and all weights can go."""
        for _ in range(500):
            if not self.jobs and not +self.reading:
                break
            for read in list(+self.reading):
                self.end_read(read)
            self.report(Drained())
        assert not self.jobs
        assert not self.rows
        for name in sorted(self.added):
            self.report(RemoveAdapter(handle=handle(name)))
        assert not self.device
        assert not self.host


ReplicaUnderFire.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestReplicaUnderFire = ReplicaUnderFire.TestCase
