import pytest

from safelight.traces.analyses.windows import format_arrival


@pytest.mark.parametrize(
    ("arrival_s", "words"),
    [(0, "day 1, 00:00"), (86400 * 2 + 3723, "day 3, 01:02:03"), (1_750_000_000, "2025-06-15 15:06:40")],
)
def test_an_arrival_is_a_date_where_the_trace_has_unix_time(arrival_s, words):
    assert format_arrival(arrival_s) == words
