"""Traces to test with."""

import polars as pl
from hypothesis import strategies as st

from safelight.traces.schema import ORIGINS, STATUSES, conform

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
COUNTS = st.integers(0, 2**31 - 1)
SECONDS = st.floats(0, 1e10, allow_subnormal=False)
MILLISECONDS = st.integers(0, 10**10).map(lambda ms: ms / 1000)
ADAPTER_LISTS = st.lists(
    st.fixed_dictionaries({"name": st.none() | NAMES, "scale": st.none() | st.floats(-8, 8, allow_subnormal=False)}),
    max_size=3,
)

FIELDS = {
    "origin": st.sampled_from(ORIGINS),
    "arrival_s": SECONDS,
    **dict.fromkeys(("service", "instance", "tenant", "task", "base_model"), NAMES),
    **dict.fromkeys(("controlnets", "loras"), ADAPTER_LISTS),
    **dict.fromkeys(("prompt", "negative_prompt"), st.text(st.characters(codec="utf-8"), max_size=20)),
    **dict.fromkeys(("prompt_id", "sampler", "reason"), NAMES),
    "inputs": st.lists(NAMES, max_size=3),
    **dict.fromkeys(
        ("width", "height", "steps", "frames", "fps", "images", "retries", "pauses", "steps_without_loras"), COUNTS
    ),
    **dict.fromkeys(("deadline_s", "duration_s", "predicted_s", "queue_s", "compute_s", "guidance_scale"), SECONDS),
    **dict.fromkeys(("asked_model", "asked_quality"), NAMES),
    **dict.fromkeys(("asked_steps", "stages"), COUNTS),
    "asked_guidance_scale": SECONDS,
    **dict.fromkeys(("asked_min_quality", "gate_score"), st.floats(0, 1, allow_subnormal=False)),
    "strength": st.floats(0, 1, allow_subnormal=False),
    "seed": st.integers(0, 2**53),
    "status": st.sampled_from(STATUSES),
}
"""What each column may hold, but for ids."""


@st.composite
def tables(draw, *, columns=tuple(FIELDS), required=(), fields=None, min_size=0, max_size=8):
    """A canonical table in order of arrival; what is not `required` may be null, and `fields` go before `FIELDS`."""
    values = FIELDS | (fields or {})
    row = {name: values[name] if name in required else st.none() | values[name] for name in columns}
    rows = draw(st.lists(st.fixed_dictionaries(row), min_size=min_size, max_size=max_size))
    schema = {name: dtype for name, dtype in conform(pl.LazyFrame()).collect_schema().items() if name in columns}
    table = conform(pl.LazyFrame(rows, schema=schema)).collect()
    return table.sort("arrival_s", maintain_order=True, nulls_last=True)
