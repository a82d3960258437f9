import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.makers import composition
from safelight.adapters.dlora import DloraConfig, DloraCredit
from safelight.adapters.mode import UNMERGED, ModeCosts, Queue, QueuedRow, merged

KEYS = [composition(**{name: 1.0}) for name in "abcd"]
A, B, C, D = KEYS
COSTS = ModeCosts(switch_s=0.0, tick_s=lambda _: 1.0, unmerged_overhead=0.0, correction_overhead=0.0)
SMALL_CREDIT = DloraConfig(unit=2.0, keep_gap=1.0)
histories = st.lists(st.lists(st.sampled_from([A, A, A, B, C, D]), min_size=1, max_size=24), min_size=1, max_size=30)


def tick(policy, *compositions, room=16):
    rows = tuple(QueuedRow(id=str(i), composition=each, steps_left=1) for i, each in enumerate(compositions))
    return policy.choose(Queue(rows=rows, max_denoiser_rows=room), COSTS, 0.0)


def ran(choice):
    return [row.composition for row in choice.rows]


def test_modes_break_even_at_the_ratio_of_their_times():
    assert DloraConfig().break_even == pytest.approx(0.556, abs=1e-3)


def test_displacing_a_row_costs_a_sixteenth_or_that_over_the_break_even():
    assert DloraConfig().credit_cost == 0.0625
    assert DloraConfig().merged_cost == pytest.approx(0.1125)


@pytest.mark.parametrize("config", [DloraConfig(), SMALL_CREDIT])
@given(history=histories)
def test_credits_are_only_passed_on(config, history):
    policy = DloraCredit(config)
    for crowd in history:
        tick(policy, *crowd, room=8)
        seen = len(policy.credits)
        assert sum(policy.credits.values()) == pytest.approx(config.unit * (seen - 1) * seen)


@given(history=histories)
def test_staying_is_always_easier_than_entering(history):
    policy = DloraCredit()
    for crowd in history:
        tick(policy, *crowd, room=8)
        assert 0 < policy.stay < policy.enter


def test_it_merges_what_fills_a_whole_batch():
    choice = tick(DloraCredit(), *[B, *[A] * 4], room=4)
    assert choice.mode == merged(A)
    assert ran(choice) == [A] * 4


def test_it_does_not_merge_what_fills_less():
    choice = tick(DloraCredit(), A, A, A, B, room=4)
    assert choice.mode == UNMERGED
    assert ran(choice) == [A, A, A, B]


def test_it_stays_merged_down_to_the_break_even():
    policy = DloraCredit()
    tick(policy, A, A, A, A)
    assert tick(policy, A, A, A, B, B).mode == merged(A)
    assert tick(policy, A, B, B, C).mode == UNMERGED


def test_a_merged_row_out_of_turn_pays_the_one_it_displaces():
    policy = DloraCredit()
    tick(policy, B, A, A, A, A, room=4)
    assert policy.credits[B] - 10_000 == pytest.approx(0.1125)
    assert policy.credits[A] - 10_000 == pytest.approx(-0.1125)


def test_a_row_displaced_by_nobody_gets_half():
    policy = DloraCredit()
    tick(policy, A, A, A)
    tick(policy, A, A, B)
    assert policy.credits[B] - 10_000 == pytest.approx(0.1125 / 2)


def test_a_merged_period_that_served_more_lowers_the_entry():
    policy = DloraCredit()
    for _ in range(10):
        tick(policy, A, A, A, A)
    tick(policy, B, C)
    assert policy.enter == pytest.approx(0.95)


def test_a_merged_period_that_served_less_raises_the_entry():
    policy = DloraCredit()
    tick(policy, A)
    tick(policy, B, C)
    assert policy.enter == pytest.approx(1.1)


def test_an_unmerged_period_that_served_more_raises_what_it_takes_to_stay():
    policy = DloraCredit()
    for _ in range(10):
        tick(policy, A, B, C, D)
    tick(policy, A, A, A, A)
    assert policy.stay == pytest.approx(15 / 27 + 0.05)


def test_an_unmerged_period_that_served_less_lowers_what_it_takes_to_stay():
    policy = DloraCredit()
    for _ in range(10):
        tick(policy, A, A, A, B)
    tick(policy, A, A, A, A)
    assert policy.stay == pytest.approx(15 / 27 / 1.1)


def test_credit_serves_who_was_displaced_long_enough_and_fills_up_in_order():
    policy = DloraCredit(SMALL_CREDIT)
    crowd = [B, *[A] * 4]
    while not policy.is_serving_by_credit:
        choice = tick(policy, *crowd, room=4)
    assert choice.mode == UNMERGED
    assert ran(choice) == [B, A, A, A]


def test_the_released_scale_of_credit_takes_thousands_of_batches_to_reach():
    config = DloraConfig()
    assert math.ceil(config.unit / (config.max_batch * config.merged_cost)) == 5556


def test_under_ordinary_load_credit_never_serves_anybody():
    policy = DloraCredit()
    for step in range(2000):
        hot = [A] * (16 + step % 8)
        cold = [KEYS[1 + (step + i) % 3] for i in range(step % 7)]
        tick(policy, *cold, *hot)
        assert not policy.is_serving_by_credit
    assert max(policy.credits.values()) < 4 * 10_000
