from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, crowds, profiles, request, spec
from safelight.control.batch import Row, choose_batch

MOST_ROWS = st.integers(2, 12)


def in_order(requests):
    rows = [Row.of(each, sequence=number) for number, each in enumerate(requests)]
    return sorted(rows, key=lambda row: row.place)


def choose(rows, *, most=8):
    return choose_batch(rows, now=0.0, profiles=profiles(), max_denoiser_rows=most)


def names(rows):
    return [row.request.id for row in rows]


@given(crowds(), MOST_ROWS)
def test_rows_of_a_batch_share_model_and_size(requests, most):
    assert len({row.kind for row in choose(in_order(requests), most=most)}) == 1


@given(crowds(), MOST_ROWS)
def test_a_batch_fits_one_denoiser_call(requests, most):
    assert sum(row.denoiser_rows for row in choose(in_order(requests), most=most)) <= most


@given(crowds(), MOST_ROWS)
def test_the_most_urgent_row_leads_and_the_others_follow_in_order(requests, most):
    rows = in_order(requests)
    batch = choose(rows, most=most)
    assert batch[0] is rows[0]
    assert batch == [row for row in rows if row in batch]


@given(crowds(), MOST_ROWS)
def test_a_row_is_passed_over_only_by_narrower_ones(requests, most):
    rows = in_order(requests)
    batch = choose(rows, most=most)
    for left_out in (row for row in rows if row.kind == batch[0].kind and row not in batch):
        later = [row for row in batch if row.place > left_out.place]
        assert all(row.denoiser_rows < left_out.denoiser_rows for row in later)


@given(crowds(fields=st.fixed_dictionaries({"is_guided": st.booleans()})), MOST_ROWS)
def test_without_deadlines_no_row_that_fits_is_left_out(requests, most):
    rows = in_order(requests)
    batch = choose(rows, most=most)
    free = most - sum(row.denoiser_rows for row in batch)
    assert all(row.denoiser_rows > free for row in rows if row not in batch)


def test_company_stops_where_it_would_make_an_urgent_row_late():
    # 4 steps of 0.02 + 0.01 s a row: three rows take 0.20 s, four take 0.24 s.
    urgent = request("urgent", deadline_s=0.21)
    others = [request(f"other{number}") for number in range(5)]
    assert names(choose(in_order([urgent, *others]))) == ["urgent", "other0", "other1"]


def test_a_row_that_is_late_anyway_holds_no_company_back():
    lost = request("lost", deadline_s=0.05)
    others = [request(f"other{number}") for number in range(5)]
    assert len(choose(in_order([lost, *others]))) == 6


def test_decoding_is_part_of_what_a_deadline_must_hold():
    slow_to_decode = profiles(spec(LARGE, decode_s=0.05))
    rows = in_order([request("urgent", deadline_s=0.21), request("other")])
    assert names(choose_batch(rows, now=0.0, profiles=slow_to_decode, max_denoiser_rows=8)) == ["urgent"]


def test_a_guided_row_runs_even_where_one_row_is_all_that_fits():
    assert len(choose(in_order([request(is_guided=True), request("two")]), most=1)) == 1


def test_rows_of_another_model_wait_for_a_tick_of_their_own():
    rows = in_order([request("large"), request("small", model=SMALL)])
    assert names(choose(rows)) == ["large"]
