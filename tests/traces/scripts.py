"""What the five scripts published with the Katz trace compute, one request at a time: what analyses must agree with.

They read rows such as the trace has: `timestamp`, `ip`, `scene_id`, `base_model_id`, `controlnets` and `loras`, where
ids and lists may be null and lists may have null elements.
"""

from collections import Counter, defaultdict

import polars as pl
from hypothesis import strategies as st

from safelight.traces.schema import conform

IDS = st.sampled_from(["u", "v", "w", "x", "y", "z", None])
LISTS = st.none() | st.lists(IDS, max_size=4)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.integers(0, 6),
            "ip": st.sampled_from(["1.1.1.1", "2.2.2.2", "3.3.3.3"]),
            "scene_id": st.sampled_from(["A", "B"]),
            "base_model_id": st.sampled_from(["m", "n", None]),
            "controlnets": LISTS,
            "loras": LISTS,
        }
    ),
    min_size=1,
    max_size=40,
)


def trace_of(rows):
    """Return rows as a canonical trace, in the order of the file."""
    columns = {
        "arrival_s": pl.Series([row["timestamp"] for row in rows], dtype=pl.Float64),
        "instance": pl.Series([row["ip"] for row in rows], dtype=pl.String),
        "service": pl.Series([row["scene_id"] for row in rows], dtype=pl.String),
        "base_model": pl.Series([row["base_model_id"] for row in rows], dtype=pl.String),
        "controlnets": pl.Series([row["controlnets"] for row in rows], dtype=pl.List(pl.String)),
        "loras": pl.Series([row["loras"] for row in rows], dtype=pl.List(pl.String)),
    }
    return conform(pl.LazyFrame(columns))


def of_scene(rows, scene):
    return [row for row in rows if row["scene_id"] == scene]


def statistics(rows, scene):
    """Script 1: requests, base models, common ones, requests by number of ControlNets and of LoRAs."""
    rows = of_scene(rows, scene)
    models = Counter(row["base_model_id"] for row in rows if row["base_model_id"] is not None)
    common = {name: count for name, count in models.items() if count / sum(models.values()) > 0.01}
    numbers = {kind: Counter(len(row[kind] or []) for row in rows) for kind in ("controlnets", "loras")}
    shares = {number: count / len(rows) for number, count in numbers["controlnets"].items() if count >= 100}
    return len(rows), models, common, numbers["controlnets"], numbers["loras"], shares


def invocations(rows, scene, kind):
    """Scripts 2 and 3: how often each is listed; only the one for LoRAs passes over nulls."""
    counts = Counter(name for row in of_scene(rows, scene) for name in row[kind] or [])
    if kind == "loras":
        counts.pop(None, None)
    return counts


def loads(rows, scene, kind, policy, size):
    """Script 4: loads of all instances of a service, each with one cache of so many adapters."""
    instances = defaultdict(list)
    for row in of_scene(rows, scene):
        instances[row["ip"]].append(row)
    total = 0
    for requests in instances.values():
        cache = {}
        for clock, name in enumerate(
            name for row in sorted(requests, key=lambda row: row["timestamp"]) for name in row[kind] or []
        ):
            if name in cache:
                uses = cache[name][0] + 1
            else:
                total += 1
                uses = 1
                if len(cache) == size:
                    del cache[min(cache, key=cache.get)]
            cache[name] = (uses, clock) if policy == "LFU" else (0, clock)
    return total


def distinct(rows, scene):
    """Script 5: requests, distinct ControlNets and distinct LoRAs of each instance."""
    found = {}
    for row in of_scene(rows, scene):
        count, controlnets, loras = found.get(row["ip"], (0, set(), set()))
        found[row["ip"]] = (count + 1, controlnets | set(row["controlnets"] or []), loras | set(row["loras"] or []))
    return {ip: (count, len(controlnets), len(loras)) for ip, (count, controlnets, loras) in found.items()}
