import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.makers import DOT, LARGE, SMALL, request, state, use
from safelight.control.waiting import LONGEST_BLOCK, WaitingQueue, WorkIndex
from safelight.core.source import PictureSource

SOURCE = PictureSource(image=DOT)
OUTLINE = use("outline")
FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, SMALL]),
        "deadline_s": st.none() | st.floats(0.1, 100),
        "source": st.sampled_from([None, SOURCE]),
        "loras": st.sampled_from([(), (OUTLINE,)]),
    }
)
SECONDS = st.floats(0, 1e3)


def close(number, other):
    return abs(number - other) <= 1e-9 * max(1.0, abs(number), abs(other)) + 1e-9


class QueueUnderFire(RuleBasedStateMachine):
    """Requests come and go in any order."""

    def __init__(self):
        super().__init__()
        self.queue = WaitingQueue()
        self.kept = {}
        self.count = 0

    @rule(many=st.lists(st.tuples(FIELDS, SECONDS), max_size=5))
    def requests_come(self, many):
        for fields, work_s in many:
            self.count += 1
            asked = request(f"r{self.count}", arrived_s=self.count / 10, **fields)
            sizes = {use.handle: 1 for use in fields["loras"]}
            self.kept[asked.id] = state(asked, number=self.count, work_s=work_s, weights_bytes=sizes)
            self.queue.add(self.kept[asked.id])

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def a_request_goes(self, data):
        name = data.draw(st.sampled_from(sorted(self.kept)))
        self.queue.remove(self.kept.pop(name))

    @property
    def in_order(self):
        return sorted(self.kept.values(), key=lambda each: each.place)

    @invariant()
    def all_are_there_in_order(self):
        assert list(self.queue) == self.in_order
        assert len(self.queue) == len(self.kept)
        assert list(self.queue.first(3)) == self.in_order[:3]

    @invariant()
    def each_model_has_its_own_in_order(self):
        assert set(self.queue.models) == {each.model for each in self.kept.values()}
        for model in (LARGE, SMALL):
            assert list(self.queue.of(model)) == [each for each in self.in_order if each.model == model]

    @invariant()
    def positions_and_sums_are_those_of_the_requests_ahead(self):
        for position, each in enumerate(self.in_order):
            assert self.queue.position(each) == position
            assert close(self.queue.work_ahead_s(each.place), sum(other.work_s for other in self.in_order[:position]))
        assert close(self.queue.work_s, sum(each.work_s for each in self.kept.values()))

    @invariant()
    def bytes_and_adapters_are_counted(self):
        assert self.queue.held_bytes == sum(each.request.held_bytes for each in self.kept.values())
        assert self.queue.with_adapters == sum(bool(each.job.adapters) for each in self.kept.values())


TestQueueUnderFire = QueueUnderFire.TestCase
TestQueueUnderFire.settings = settings(max_examples=50, stateful_step_count=30)


@given(changes=st.lists(st.tuples(st.booleans(), st.integers(0, 60), SECONDS), max_size=150), block=st.integers(2, 9))
def test_a_work_index_sums_like_brute_force_however_its_blocks_are_cut(changes, block):
    index, kept = WorkIndex(longest_block=block), {}
    for is_added, number, seconds in changes:
        place = (float(number),)
        if is_added and place not in kept:
            kept[place] = seconds
            index.add(place, seconds)
        elif not is_added and place in kept:
            index.remove(place, kept.pop(place))
        for asked in (place, (number - 0.5,), (100.0,)):
            assert close(index.ahead_of(asked), sum(each for other, each in kept.items() if other < asked))
        assert close(index.total_s, sum(kept.values()))


@given(
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 60), SECONDS, SECONDS), max_size=150),
    block=st.integers(2, 9),
)
def test_the_room_behind_a_place_is_the_least_of_its_limits_less_the_work_ahead(changes, block):
    index, kept = WorkIndex(longest_block=block), {}
    for is_added, number, seconds, limit in changes:
        place = (float(number),)
        if is_added and place not in kept:
            kept[place] = (seconds, limit)
            index.add(place, seconds, limit)
        elif not is_added and place in kept:
            index.remove(place, kept.pop(place)[0])
        for asked in (place, (number - 0.5,), (-1.0,), (100.0,)):
            rooms = [
                limit - sum(each for ahead, (each, _) in kept.items() if ahead < other)
                for other, (_, limit) in kept.items()
                if other > asked
            ]
            least = min(rooms, default=math.inf)
            assert index.room_behind(asked) == least or close(index.room_behind(asked), least)


def test_pools_do_not_wait_for_each_other():
    queue = WaitingQueue()
    for number, model in enumerate((LARGE, SMALL)):
        queue.add(state(request(f"r{number}", model=model), number=number, work_s=2.0 + number))
    assert queue.work_ahead_s((math.inf,)) == 5.0
    queue.regroup({LARGE: LARGE, SMALL: SMALL})
    assert queue.work_ahead_s((math.inf,), LARGE) == 2.0
    assert queue.work_ahead_s((math.inf,), SMALL) == 3.0


def test_an_index_that_is_empty_again_sums_to_nothing():
    index = WorkIndex()
    for number in range(3 * LONGEST_BLOCK):
        index.add((number,), 0.1 + number)
    for number in range(3 * LONGEST_BLOCK):
        index.remove((number,), 0.1 + number)
    assert index.total_s == 0.0
