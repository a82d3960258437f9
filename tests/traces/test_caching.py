import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.reports.figure_files import figure_bytes
from safelight.traces.analyses.caching import Caches, caching
from safelight.traces.caches.library import LIBRARY
from safelight.traces.caches.policy import BELADY, LRU, OWN
from safelight.traces.caches.sizes import RANGES_BYTES, BadSizes, drawn_bytes, given_bytes
from safelight.traces.caches.tiers import LoadTimes
from safelight.traces.usage import usages
from traces import scripts
from traces.scripts import ROWS, trace_of

TIMES = LoadTimes(host_s=1.0, far_s=10.0)


def request(loras, *, base="m", at=0):
    return {"timestamp": at, "ip": "1", "scene_id": "A", "base_model_id": base, "controlnets": None, "loras": loras}


def row_of(rows, **caches):
    """The only row of a table for one policy and size."""
    wanted = {"adapters": "loras", "policies": [LRU], "sizes": [1], "times": TIMES, **caches}
    return caching(usages(trace_of(rows)), Caches(**wanted)).table.row(0, named=True)


@given(rows=ROWS, size=st.integers(1, 5), kind=st.sampled_from(["controlnets", "loras"]))
def test_loads_are_those_of_a_literal_replay(rows, size, kind):
    table = caching(usages(trace_of(rows)), Caches(adapters=kind, policies=[LRU], sizes=[size])).table
    for scene, loads in table.select("service", "loads").rows():
        assert loads == scripts.loads(rows, scene, kind, "LRU", size)


@given(rows=ROWS, size=st.integers(1, 5))
def test_adapters_beside_another_base_model_are_others(rows, size):
    renamed = [
        {**row, "loras": row["loras"] and [f"{name} on {row['base_model_id']}" for name in row["loras"]]}
        for row in rows
    ]
    caches = Caches(adapters="loras", policies=list(OWN), sizes=[size], by_base=True)
    told_apart = Caches(adapters="loras", policies=list(OWN), sizes=[size])
    found = caching(usages(trace_of(rows)), caches).table
    assert found.equals(caching(usages(trace_of(renamed)), told_apart).table)


def test_a_request_is_complete_only_if_all_its_adapters_are_there():
    rows = [request(["x", "y"]), request(["x", "y"]), request(["x", "z"]), request(["x"]), request([])]
    row = row_of(rows, sizes=[2])
    assert (row["complete_requests"], row["complete_ratio"], row["hit_ratio"]) == (2, 2 / 4, 4 / 7)


def test_what_the_host_holds_is_loaded_in_less_time():
    rows = [request([name]) for name in ("x", "y", "x", "x", "z", "y")]
    row = row_of(rows, host_size=3)
    assert (row["loads_from_host"], row["loads_from_afar"]) == (2, 3)
    assert row["seconds_per_request"] == pytest.approx((2 * 1 + 3 * 10) / 6)
    assert row["gpu_hours"] == pytest.approx(32 / 3600)


def test_without_a_host_tier_all_loads_come_from_afar():
    row = row_of([request([name]) for name in ("x", "y", "x")])
    assert (row["loads_from_host"], row["loads_from_afar"]) == (0, 3)


def test_sizes_in_bytes_are_filled_with_the_bytes_of_adapters():
    rows = [request([name]) for name in ("x", "y", "x", "y", "z", "x")]
    sizes = {"x": 10, "y": 20, "z": 25}
    row = row_of(rows, sizes=[30], bytes_of=lambda names: np.array([sizes[name] for name in names]))
    assert row["loads"] == 4


def test_sizes_too_small_for_a_policy_are_left_out_and_told():
    result = caching(
        usages(trace_of([request(["x"])])), Caches(adapters="loras", policies=[LRU, *LIBRARY], sizes=[1, 5, 6])
    )
    assert result.table.filter(policy="WTINYLFU")["size"].to_list() == [6]
    assert "W-TinyLFU cannot keep caches as small as 5 adapters." in result.findings


def test_a_service_without_such_adapters_says_so_and_has_a_figure():
    result = caching(usages(trace_of([request(None)])), Caches(adapters="loras", policies=[LRU, BELADY], sizes=[1, 50]))
    assert result.findings == ("Service A asks for no LoRAs.",)
    assert figure_bytes(result, "svg")


def test_sizes_are_drawn_from_a_seed_within_their_range():
    drawn = drawn_bytes([f"adapter {number}" for number in range(500)], "loras", seed=1)
    low, high = RANGES_BYTES["loras"]
    assert low <= drawn.min() < drawn.max() <= high
    assert np.array_equal(drawn, drawn_bytes([str(number) for number in range(500)], "loras", seed=1))
    assert not np.array_equal(drawn, drawn_bytes([str(number) for number in range(500)], "loras", seed=2))


@pytest.mark.parametrize("text", ['{"x": 5, "y": 6, "": 7}', "name,bytes\nx,5\ny,6\n,7\n", "x,5\r\n\r\ny,6\r\n,7"])
def test_sizes_are_read_from_json_or_csv(text, tmp_path):
    (tmp_path / "sizes").write_text(text)
    assert given_bytes(["y", "x", None], tmp_path / "sizes").tolist() == [6, 5, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,5", "no size for 1 of 2 adapters, such as 'ex'; did you mean 'x'"),
        ("x,5\nex,much", "Line 2 .* is 'ex,much'; it must be name,bytes"),
        ("x,5,6", "must be name,bytes"),
        (json.dumps({"x": 0, "ex": 1}), "gives 'x' the size 0; it must be at least 1 byte"),
        (json.dumps({"x": "5"}), "no JSON object of names and bytes"),
        ("{", "no JSON object"),
    ],
)
def test_sizes_that_tell_too_little_are_refused(text, message, tmp_path):
    (tmp_path / "sizes").write_text(text)
    with pytest.raises(BadSizes, match=message):
        given_bytes(["x", "ex"], tmp_path / "sizes")


def test_a_file_of_sizes_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadSizes, match="sizes' cannot be read: No such file"):
        given_bytes(["x"], tmp_path / "sizes")
