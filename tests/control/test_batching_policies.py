"""How full a call is: what holds for every policy, and what holds for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, crowds, job, paces, spec, use
from safelight.control.batch import QueuedJob, place_of
from safelight.control.batching.anchor_scan import AnchorScan
from safelight.control.batching.deadline import DeadlineBatching
from safelight.control.batching.full import FullBatching
from safelight.control.batching.head_of_line import HeadOfLine
from safelight.control.batching.policies import BATCHING_POLICIES
from safelight.control.order.deadline import DeadlineOrder

MOST_ROWS = st.integers(2, 12)
every_policy = pytest.mark.parametrize("policy", BATCHING_POLICIES, ids=lambda policy: policy.name)


def in_order(jobs):
    order = DeadlineOrder()
    rows = [QueuedJob.of(each, place=order.place(each.request, number)) for number, each in enumerate(jobs)]
    return sorted(rows, key=place_of)


def choose(rows, *, policy=None, most=8):
    return (policy or DeadlineBatching()).choose(rows, now=0.0, paces=paces(), max_denoiser_rows=most)


def names(rows):
    return [row.id for row in rows]


@every_policy
@given(jobs=crowds(), most=MOST_ROWS)
def test_rows_of_a_batch_share_model_and_size(policy, jobs, most):
    assert len({row.kind for row in choose(in_order(jobs), policy=policy, most=most)}) == 1


@every_policy
@given(jobs=crowds(), most=MOST_ROWS)
def test_a_batch_fits_one_denoiser_call(policy, jobs, most):
    assert sum(row.denoiser_rows for row in choose(in_order(jobs), policy=policy, most=most)) <= most


@every_policy
@given(jobs=crowds(), most=MOST_ROWS)
def test_the_most_urgent_row_leads_and_the_others_follow_in_order(policy, jobs, most):
    rows = in_order(jobs)
    batch = choose(rows, policy=policy, most=most)
    assert batch[0] is rows[0]
    assert batch == [row for row in rows if row in batch]


@every_policy
@given(jobs=crowds(), most=MOST_ROWS)
def test_a_row_is_passed_over_only_by_narrower_ones(policy, jobs, most):
    rows = in_order(jobs)
    batch = choose(rows, policy=policy, most=most)
    for left_out in (row for row in rows if row.kind == batch[0].kind and row not in batch):
        later = [row for row in batch if row.place > left_out.place]
        assert all(row.denoiser_rows < left_out.denoiser_rows for row in later)


@every_policy
@given(jobs=crowds(fields=st.fixed_dictionaries({"is_guided": st.booleans()})), most=MOST_ROWS)
def test_without_deadlines_no_row_that_fits_is_left_out(policy, jobs, most):
    rows = in_order(jobs)
    batch = choose(rows, policy=policy, most=most)
    free = most - sum(row.denoiser_rows for row in batch)
    assert all(row.denoiser_rows > free for row in rows if row not in batch)


@every_policy
def test_a_guided_row_runs_even_where_one_row_is_all_that_fits(policy):
    assert len(choose(in_order([job(is_guided=True), job("two")]), policy=policy, most=1)) == 1


@every_policy
def test_rows_of_another_model_wait_for_a_tick_of_their_own(policy):
    assert names(choose(in_order([job("large"), job("small", model=SMALL)]), policy=policy)) == ["large"]


def test_company_stops_where_it_would_make_an_urgent_row_late():
    # 4 steps of 0.02 + 0.01 s a row: three rows take 0.20 s, four take 0.24 s.
    urgent = job("urgent", deadline_s=0.21)
    others = [job(f"other{number}") for number in range(5)]
    assert names(choose(in_order([urgent, *others]))) == ["urgent", "other0", "other1"]


def test_a_full_batch_does_not_ask_who_will_be_late():
    urgent = job("urgent", deadline_s=0.21)
    others = [job(f"other{number}") for number in range(5)]
    assert len(choose(in_order([urgent, *others]), policy=FullBatching())) == 6


def test_a_row_that_is_late_anyway_holds_no_company_back():
    lost = job("lost", deadline_s=0.05)
    others = [job(f"other{number}") for number in range(5)]
    assert len(choose(in_order([lost, *others]))) == 6


def test_decoding_is_part_of_what_a_deadline_must_hold():
    slow_to_decode = paces(spec(LARGE, decode_s=0.05))
    rows = in_order([job("urgent", deadline_s=0.21), job("other")])
    batch = DeadlineBatching().choose(rows, now=0.0, paces=slow_to_decode, max_denoiser_rows=8)
    assert names(batch) == ["urgent"]


@every_policy
@given(jobs=crowds())
def test_candidates_are_of_one_kind_and_in_order(policy, jobs):
    rows = in_order(jobs)
    candidates = policy.candidates(rows)
    assert len({row.kind for row in candidates}) == 1
    assert candidates == [row for row in rows if row in candidates]


@every_policy
@given(jobs=crowds())
def test_the_most_urgent_row_is_a_candidate_while_none_runs(policy, jobs):
    rows = in_order(jobs)
    assert policy.candidates(rows)[0] is rows[0]


def queued(*steps, running=0, policy=None):
    """Return the ids of the candidates: rows of these steps; negative ones are of another size. The first ones run."""
    rows = []
    for number, count in enumerate(steps):
        side = 64 if count > 0 else 128
        each = job(str(number), steps=abs(count), side=side)
        rows.append(QueuedJob.of(each, place=(float(number), number), has_begun=number < running))
    return "".join(names(policy.candidates(rows)))


@pytest.mark.parametrize(
    ("steps", "running", "candidates"),
    [
        ((4, 8, -4, 4), 0, "01"),
        ((4, 8, -4, 4), 1, "01"),
        ((-4, 4, 4), 0, "0"),
        ((4, -4, 4, 4), 1, "0"),
        ((4, 4, 4, 4), 2, "0123"),
    ],
)
def test_head_of_line_takes_rows_until_the_first_with_another_key(steps, running, candidates):
    assert queued(*steps, running=running, policy=HeadOfLine()) == candidates


@pytest.mark.parametrize(
    ("steps", "running", "candidates"),
    [((4, 8, -4, 4), 0, "03"), ((4, 8, 4, 4), 1, "0"), ((8, 4, 8), 0, "02"), ((4, 4, 4), 2, "01")],
)
def test_an_anchor_scans_the_queue_for_equal_requests_and_none_joins_later(steps, running, candidates):
    assert queued(*steps, running=running, policy=AnchorScan()) == candidates


@pytest.mark.parametrize("policy", [HeadOfLine(), AnchorScan()], ids=lambda policy: policy.name)
def test_the_peers_rules_never_mix_loras(policy):
    rows = [
        QueuedJob.of(job("0"), place=(0.0, 0)),
        QueuedJob.of(job("1", loras=(use("pastel"),)), place=(1.0, 1)),
        QueuedJob.of(job("2"), place=(2.0, 2)),
    ]
    assert "1" not in names(policy.candidates(rows))
