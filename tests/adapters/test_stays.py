"""A mode that says that it stays makes the same choice in each of the next ticks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from safelight.adapters.mode import ModeCosts, Queue, QueuedRow
from safelight.adapters.modes import ADAPTER_MODES
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterUse, Composition

COMPOSITIONS = [
    NO_ADAPTERS,
    *(Composition((AdapterUse(handle=AdapterHandle(name=name, generation=1), scale=1.0),)) for name in "abc"),
]
ROWS = st.lists(st.tuples(st.sampled_from(COMPOSITIONS), st.integers(1, 40), st.integers(1, 2)), min_size=1, max_size=4)
COSTS = st.builds(
    ModeCosts,
    switch_s=st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    tick_s=st.sampled_from([0.1, 0.02]).map(lambda base: lambda rows: base + 0.01 * rows),
    unmerged_overhead=st.sampled_from([0.05, 0.3, 1.0]),
    correction_overhead=st.sampled_from([0.05, 0.3, 1.0]),
)
MODES = [mode for mode in ADAPTER_MODES if getattr(mode.start(), "stays", None) is not None]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@settings(max_examples=300)
@given(rows=ROWS, costs=COSTS, folded=st.sampled_from(COMPOSITIONS))
def test_a_mode_that_stays_runs_all_rows_over_the_same_weights_in_each_tick(mode, rows, costs, folded):
    queued = tuple(
        QueuedRow(id=f"r{number}", composition=composition, steps_left=steps, denoiser_rows=denoiser_rows)
        for number, (composition, steps, denoiser_rows) in enumerate(rows)
    )
    queue = Queue(rows=queued, max_denoiser_rows=8, folded=folded)
    ticks = min(row.steps_left for row in queued)
    policy = mode.start()
    choice = policy.choose(queue, costs, 0.0)
    if choice.mode.folded != folded or len(choice.rows) < len(queued) or not policy.stays(queue, costs, ticks):
        return
    for tick in range(1, ticks):
        later = replace(queue, rows=tuple(replace(row, steps_left=row.steps_left - tick) for row in queued))
        choice = policy.choose(later, costs, 0.01 * tick)
        assert choice.mode.folded == folded
        assert [row.id for row in choice.rows] == [row.id for row in queued]
