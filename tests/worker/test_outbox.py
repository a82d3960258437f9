"""Events in as few writes as will do, none of them late, lost or out of order."""

from hypothesis import given
from hypothesis import strategies as st

from safelight.core.frames import HEADER, decode_event
from safelight.core.work import Dropped, Started, Ticked
from safelight.worker.outbox import TICKED_WAITS_S, Outbox

STARTED = Started(request_id="a")


def ticked(seconds=0.001):
    return Ticked(
        model="null", width=64, height=64, denoiser_rows=1, seconds=seconds, plain_s=seconds, request_ids=("a",)
    )


class Driver:
    """Has an outbox, a clock that stands still by itself, and what was written."""

    def __init__(self):
        self.now = 0.0
        self.writes = []
        self.outbox = Outbox(self.writes.append, now_s=lambda: self.now)

    def send(self, *events):
        for event in events:
            self.outbox.send(event)
        self.outbox.flush(is_last=False)

    @property
    def events(self):
        """The events of each write."""
        return [list(events_of(data)) for data in self.writes]


def events_of(data):
    while data:
        (length,) = HEADER.unpack_from(data)
        yield decode_event(data[HEADER.size : HEADER.size + length])
        data = data[HEADER.size + length :]


def test_all_events_of_a_turn_are_one_write():
    driver = Driver()
    driver.send(ticked(), STARTED, Dropped(request_id="b"))
    assert driver.events == [[ticked(), STARTED, Dropped(request_id="b")]]


def test_nothing_to_write_is_no_write():
    driver = Driver()
    driver.send()
    driver.outbox.flush(is_last=True)
    assert driver.writes == []


def test_news_of_a_short_tick_waits_for_the_next_event():
    driver = Driver()
    driver.send(ticked())
    assert driver.writes == []
    driver.send(STARTED)
    assert driver.events == [[ticked(), STARTED]]


def test_news_of_a_short_tick_waits_no_longer_than_it_may():
    driver = Driver()
    driver.send(ticked())
    driver.now = TICKED_WAITS_S
    driver.send(ticked())
    assert driver.events == [[ticked(), ticked()]]


def test_news_of_a_long_tick_does_not_wait():
    driver = Driver()
    driver.send(ticked(seconds=TICKED_WAITS_S))
    assert len(driver.writes) == 1


def test_nothing_stays_before_a_long_wait():
    driver = Driver()
    driver.send(ticked())
    driver.outbox.flush(is_last=True)
    assert driver.events == [[ticked()]]


@given(st.lists(st.tuples(st.sampled_from([STARTED, ticked(), ticked(1.0)]), st.floats(0, 0.1), st.booleans())))
def test_events_arrive_in_order_and_none_is_lost(sent):
    driver = Driver()
    for event, seconds, is_last in sent:
        driver.now += seconds
        driver.outbox.send(event)
        driver.outbox.flush(is_last=is_last)
    driver.outbox.flush(is_last=True)
    assert [event for events in driver.events for event in events] == [event for event, *_ in sent]
