"""Which ways to serve are worth having."""

from hypothesis import given
from hypothesis import strategies as st

from safelight.cascade.frontier import ModelAlone, frontier

POINTS = st.lists(
    st.builds(
        ModelAlone,
        name=st.sampled_from("abc"),
        seconds=st.integers(1, 6).map(float),
        quality=st.integers(0, 6).map(lambda n: n / 6),
    )
)


@given(POINTS)
def test_every_point_is_matched_by_one_of_the_frontier_and_none_of_those_by_another(points: list[ModelAlone]) -> None:
    kept = frontier(points)
    for point in points:
        assert any(each.seconds <= point.seconds and each.quality >= point.quality for each in kept)
    for one in kept:
        assert not any(
            other.seconds <= one.seconds and other.quality >= one.quality for other in kept if other is not one
        )


@given(POINTS)
def test_the_frontier_of_a_frontier_is_itself(points: list[ModelAlone]) -> None:
    assert frontier(frontier(points)) == frontier(points)
