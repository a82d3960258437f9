"""Which rows of other sizes join a call."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, job, spec, use
from safelight.control.batch import QueuedJob
from safelight.control.mixing import mixed
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.ticks import TickScheduler
from safelight.core.adapter import NO_ADAPTERS
from safelight.core.model import StepTime
from safelight.profiles.pace import PaceEstimate
from safelight.profiles.profile import Profile

FLAT = tuple(StepTime(denoiser_rows=rows, seconds=0.1) for rows in (1, 32))
STEEP = tuple(StepTime(denoiser_rows=rows, seconds=0.1 * rows) for rows in (1, 32))


def pace(times=FLAT):
    return PaceEstimate(Profile.from_spec(msgspec.structs.replace(spec(LARGE), step_times=times, mixes_sizes=True)))


def queued(name, *, side=64, **fields):
    return QueuedJob.of(job(name, side=side, **fields), place=(0.0, 0))


def join(batch, *others, times=FLAT, most=8):
    rows, parts = mixed(
        list(batch), [*batch, *others], folded=NO_ADAPTERS, pace=pace(times), now=0.0, max_denoiser_rows=most
    )
    return [row.id for row in rows], parts


def test_rows_of_another_size_join_where_a_call_costs_the_same_whatever_its_rows():
    rows, parts = join([queued("a")], queued("b", side=32), queued("c", side=32))
    assert rows == ["a", "b", "c"]
    assert parts == ((64, 64, 1), (32, 32, 2))


def test_they_stay_apart_where_a_call_costs_as_much_as_its_rows():
    assert join([queued("a")], queued("b", side=128), times=STEEP) == (["a"], ())


def test_they_stay_apart_where_the_call_has_no_room_for_all_of_them():
    assert join([queued("a")], queued("b", side=32), queued("c", side=32), most=2) == (["a"], ())


@pytest.mark.parametrize("fields", [{"loras": (use("pastel"),)}, {"model": "shapes-small"}])
def test_rows_that_need_a_call_of_their_own_do_not_join(fields):
    assert join([queued("a")], queued("b", side=32, **fields)) == (["a"], ())


def test_a_row_that_would_be_late_in_the_longer_call_keeps_others_out():
    urgent = queued("a", steps=4, deadline_s=0.42)
    times = (StepTime(denoiser_rows=1, seconds=0.1), StepTime(denoiser_rows=32, seconds=0.5))
    assert join([urgent], queued("b", side=64 * 2), times=times) == (["a"], ())


@given(sides=st.lists(st.sampled_from([32, 64, 96, 128]), max_size=8), most=st.integers(1, 8))
def test_a_mixed_call_has_all_rows_of_its_sizes_and_fits(sides, most):
    others = [queued(str(number), side=side) for number, side in enumerate(sides)]
    batch = [queued("a")]
    rows, parts = join(batch, *others, most=most)
    assert rows[0] == "a"
    assert len(rows) <= max(1, most)
    if parts:
        assert sum(part[2] for part in parts) == len(rows)
        for width, _, count in parts[1:]:
            assert count == sides.count(width)


def ticked_parts(**fields):
    """The parts of the next tick of a replica with a row of each of two sizes."""
    ticks = TickScheduler({LARGE: pace()}, config=ReplicaConfig(max_denoiser_rows=8))
    ticks.hold(job("a", side=64, **fields))
    ticks.hold(job("b", side=32))
    return ticks.next_tick(0.0).parts


def test_a_replica_mixes_sizes():
    assert ticked_parts() == ((64, 64, 1), (32, 32, 1))


def test_a_replica_mixes_no_sizes_while_a_row_has_a_deadline():
    assert ticked_parts(deadline_s=60.0) == ()
