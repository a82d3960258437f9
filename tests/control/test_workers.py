from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.makers import LARGE, SMALL, request, spec, state, ticked, worker
from safelight.control.workers import Workers


class WorkersUnderFire(RuleBasedStateMachine):
    """Workers join and leave, take and release requests."""

    def __init__(self):
        super().__init__()
        self.workers = Workers()
        self.live = {}
        self.names = 0
        self.changes = {}

    def changed(self, each):
        self.names += 1
        self.changes[each] = self.names

    @rule(names=st.sampled_from([(LARGE, SMALL), (LARGE,), (SMALL,)]), most=st.integers(1, 4))
    def a_worker_joins(self, names, most):
        self.names += 1
        joined = worker(f"w{self.names}", *map(spec, names), most=most, lookahead=1)
        self.live[joined.name] = joined
        self.workers.add(joined)
        self.changed(joined)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def a_worker_leaves(self, data):
        name = data.draw(st.sampled_from(sorted(self.live)))
        assert self.workers.remove(name) is self.live.pop(name)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), is_guided=st.booleans(), is_suspect=st.booleans())
    def a_worker_takes_a_request_if_it_has_room(self, data, is_guided, is_suspect):
        chosen = self.live[data.draw(st.sampled_from(sorted(self.live)))]
        self.names += 1
        model = data.draw(st.sampled_from(sorted(chosen.paces)))
        asked = state(
            request(f"r{self.names}", model=model, is_guided=is_guided),
            number=self.names,
            work_s=2.0,
            is_suspect=is_suspect,
        )
        asked.step_work_s = 0.25
        if chosen.has_room(asked):
            self.workers.take(chosen, asked)
            self.changed(chosen)

    @precondition(lambda self: any(each.load for each in self.live.values()))
    @rule(data=st.data(), is_released=st.booleans())
    def a_request_makes_a_step_or_is_released(self, data, is_released):
        busy = sorted(name for name, each in self.live.items() if each.load)
        chosen = self.live[data.draw(st.sampled_from(busy))]
        asked = chosen.requests[data.draw(st.sampled_from(sorted(chosen.requests)))]
        if is_released:
            self.workers.release(chosen, asked)
            self.changed(chosen)
        else:
            chosen.tick(ticked(asked.id, model=asked.model), 0.0)

    @rule()
    def a_stranger_leaves(self):
        assert self.workers.remove("stranger") is None

    @invariant()
    def the_live_workers_are_there_in_order_of_joining(self):
        assert list(self.workers) == list(self.live.values())
        assert len(self.workers) == len(self.live)
        assert all(name in self.workers and self.workers.get(name) is each for name, each in self.live.items())

    @invariant()
    def each_model_has_its_workers(self):
        for model in (LARGE, SMALL):
            serving = [each for each in self.live.values() if model in each.paces]
            assert list(self.workers.serving(model)) == serving
            assert self.workers.load(model) == sum(each.load for each in serving)
        assert set(self.workers.by_model) == {model for each in self.live.values() for model in each.paces}

    @invariant()
    def the_workers_with_space_are_listed_by_load_and_then_by_when_it_changed(self):
        for model in (LARGE, SMALL):
            serving = [each for each in self.live.values() if model in each.paces and each.is_open]
            in_order = sorted(serving, key=lambda each: (each.load, self.changes[each]))
            assert list(self.workers.with_space(model)) == in_order

    @invariant()
    def a_worker_counts_its_rows_and_what_is_left_of_its_work(self):
        for each in self.live.values():
            held = each.requests.values()
            assert each.used_rows == sum(min(asked.denoiser_rows, each.capacity_rows) for asked in held)
            assert abs(each.left_s - sum(asked.left_s for asked in held)) < 1e-9
            assert not any(asked.is_suspect for asked in held) or each.load == 1


TestWorkersUnderFire = WorkersUnderFire.TestCase
TestWorkersUnderFire.settings = settings(max_examples=60, stateful_step_count=40)
