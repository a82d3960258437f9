"""What holds for every policy, and what the choices of each are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.makers import composition
from safelight.adapters.bounded_wait import BoundedWait
from safelight.adapters.fixed import AlwaysMerged, AlwaysUnmerged
from safelight.adapters.mode import UNMERGED, ModeCosts, Queue, QueuedRow, corrected, merged
from safelight.adapters.modes import ADAPTER_MODE_NAMES, ADAPTER_MODES, adapter_mode_named
from safelight.adapters.payback import Payback, drain_s
from safelight.core.adapter import NO_ADAPTERS
from safelight.core.errors import InvalidParameter

HOT, COLD, WARM = composition(outline=1.0), composition(pastel=0.6), composition(outline=1.0, neon=0.5)
COSTS = ModeCosts(switch_s=0.1, tick_s=lambda rows: 0.01 + 0.01 * rows, unmerged_overhead=0.3, correction_overhead=0.4)
MAX_WAIT_S = 0.6

arrivals = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.sampled_from([HOT, HOT, HOT, COLD, WARM, NO_ADAPTERS]),
        st.integers(1, 30),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=8,
)


def rows(*, start=0, steps=25, **counts):
    known = {"hot": HOT, "cold": COLD, "warm": WARM, "base": NO_ADAPTERS}
    crowd = [known[name] for name, count in counts.items() for _ in range(count)]
    return tuple(
        QueuedRow(id=f"r{start + index}", composition=each, steps_left=steps) for index, each in enumerate(crowd)
    )


def queue(crowd, *, folded=NO_ADAPTERS, room=8):
    return Queue(rows=crowd, max_denoiser_rows=room, folded=folded)


def play(policy, crowd, *, room=16, costs=COSTS):
    """Run all rows to their end; return when that is, and the longest that any row waited for a tick."""
    now, folded, longest_s = 0.0, NO_ADAPTERS, 0.0
    coming = sorted(enumerate(crowd), key=lambda each: each[1][0])
    left, ready_since, weights = {}, {}, {}
    while coming or left:
        if not left:
            now = max(now, coming[0][1][0])
        while coming and coming[0][1][0] <= now:
            index, (_, wanted, steps, width) = coming.pop(0)
            name = f"r{index}"
            left[name], weights[name] = steps, (wanted, width)
            ready_since[name] = now
        present = tuple(
            QueuedRow(id=name, composition=weights[name][0], steps_left=steps, denoiser_rows=weights[name][1])
            for name, steps in left.items()
        )
        asked = Queue(rows=present, max_denoiser_rows=room, folded=folded)
        choice = policy.choose(asked, costs, now)
        riding, taken = [], 0
        for row in choice.rows:
            if taken + row.denoiser_rows > room:
                break
            riding.append(row)
            taken += row.denoiser_rows
        assert riding, "every tick serves somebody"
        assert len({row.id for row in riding}) == len(riding)
        if not choice.mode.takes_misfits:
            assert {row.composition for row in riding} == {choice.mode.folded}
        began = now + costs.switching_s(folded, choice.mode.folded)
        folded = choice.mode.folded
        now = began + costs.ticking_s(folded, riding)
        for row in riding:
            longest_s = max(longest_s, began - ready_since[row.id])
            ready_since[row.id] = now
            left[row.id] -= 1
            if not left[row.id]:
                del left[row.id]
    return now, longest_s


@pytest.mark.parametrize("mode", ADAPTER_MODES, ids=lambda mode: mode.name)
@given(crowd=arrivals)
def test_no_row_waits_longer_than_the_bound(mode, crowd):
    _, longest_s = play(replace(mode, max_wait_s=MAX_WAIT_S).start(), crowd)
    assert longest_s <= MAX_WAIT_S + 1e-9


@pytest.mark.parametrize("mode", ADAPTER_MODES, ids=lambda mode: mode.name)
@given(crowd=arrivals)
def test_every_row_is_finished_without_a_bound_too(mode, crowd):
    play(mode.make(), crowd, room=4)


@pytest.mark.parametrize("mode", ADAPTER_MODES, ids=lambda mode: mode.name)
def test_a_mode_is_called_as_its_policy_is(mode):
    assert mode.name == mode.make().name == mode.start().name


def test_without_the_bound_merging_alone_does_make_rows_wait():
    crowd = [(0.0, HOT, 100, 1), (0.0, COLD, 5, 1)]
    assert play(AlwaysMerged(), crowd)[1] > MAX_WAIT_S


@given(crowd=arrivals)
def test_payback_is_never_much_slower_than_never_merging(crowd):
    at_once = [(0.0, *rest) for _, *rest in crowd]
    never, _ = play(AlwaysUnmerged(), at_once)
    ours, _ = play(Payback(), at_once)
    assert ours <= never * 1.01 + 1e-9


def test_payback_beats_both_fixed_policies_on_a_hot_composition_with_a_few_misfits():
    crowd = [(0.0, HOT, 50, 1)] * 6 + [(0.0, COLD, 20, 1), (0.0, NO_ADAPTERS, 20, 1)]
    ours, _ = play(Payback(), crowd)
    assert ours < min(play(AlwaysUnmerged(), crowd)[0], play(AlwaysMerged(), crowd)[0])


def choose(crowd, **fields):
    return Payback().choose(queue(crowd, **fields), COSTS, 0.0)


def test_a_little_work_does_not_pay_for_a_merge():
    assert choose(rows(hot=1, steps=10)).mode == UNMERGED


def test_much_work_of_one_composition_does():
    assert choose(rows(hot=8)).mode == merged(HOT)


def test_a_few_misfits_are_corrected_beside_a_hot_composition():
    choice = choose(rows(hot=7, cold=1))
    assert choice.mode == corrected(HOT)
    assert len(choice.rows) == 8


def test_rows_without_adapters_never_pay_for_a_merge():
    assert choose(rows(base=8)).mode == UNMERGED


def test_a_fold_is_kept_where_it_would_not_have_been_made():
    little = rows(hot=1, cold=1, steps=20)
    assert choose(little).mode == UNMERGED
    assert choose(little, folded=HOT).mode == corrected(HOT)


def test_a_fold_that_nobody_needs_is_left_once_that_pays():
    assert choose(rows(cold=1, steps=1), folded=HOT).mode.folded == HOT
    assert choose(rows(base=8, steps=50), folded=HOT).mode == UNMERGED


def test_where_batching_gains_nothing_heavy_compositions_run_one_after_another():
    linear = ModeCosts(switch_s=0.01, tick_s=lambda rows: 0.1 * rows, unmerged_overhead=0.3, correction_overhead=0.3)
    choice = Payback().choose(queue(rows(hot=2, cold=2)), linear, 0.0)
    assert choice.mode == merged(HOT)
    assert {row.composition for row in choice.rows} == {HOT}


@given(arrivals)
def test_the_shares_of_draining_sum_to_all_calls_together(crowd):
    present = tuple(
        QueuedRow(id=str(i), composition=each, steps_left=steps, denoiser_rows=width)
        for i, (_, each, steps, width) in enumerate(crowd)
    )
    calls_s = 0.0
    for step in range(max(row.steps_left for row in present)):
        calls_s += COSTS.tick_s(sum(row.denoiser_rows for row in present if row.steps_left > step))
    assert sum(drain_s(present, COSTS, 16).values()) == pytest.approx(calls_s)


def test_a_row_that_would_miss_its_deadline_is_not_passed_over():
    urgent = QueuedRow(id="late", composition=COLD, steps_left=5, slack_s=0.01)
    asked = queue((*rows(hot=3), urgent), folded=HOT)
    assert BoundedWait(AlwaysMerged()).choose(asked, COSTS, 0.0).mode == corrected(HOT)


def test_only_misfits_pay_overhead():
    crowd = rows(hot=1, cold=3)
    assert COSTS.ticking_s(HOT, crowd) == pytest.approx(0.05 * (1 + 0.4 * 3 / 4))
    assert COSTS.ticking_s(NO_ADAPTERS, crowd) == pytest.approx(0.05 * 1.3)
    assert COSTS.ticking_s(HOT, crowd[:1]) == pytest.approx(0.02)


def test_the_policies_go_by_these_names():
    assert set(ADAPTER_MODE_NAMES) == {
        "always-unmerged",
        "always-merged",
        "always-corrected",
        "payback",
        "dlora-credit",
        "dlora-credit-measured",
    }


def test_an_unknown_policy_is_refused_with_names():
    with pytest.raises(InvalidParameter, match="did you mean 'payback'"):
        adapter_mode_named("paybak")
