"""How fast traces are read, analysed and replayed, side by side with orjson, the published scripts and libcachesim.

The trace is synthesized like both services of Katz, in their format: 549,433 requests. The peers are `orjson.loads` and
`json.loads` of the same bytes, the ten runs of `katz_scripts.py` that answer all five questions for both services, and
`process_trace` of libcachesim's LRU, a cache for each instance, over the same accesses as a binary trace. Growth is
measured on Parquet files that hold the same requests several times, one trace after the other.

Within a process, seconds are those of processors (all threads), so other work on the machine counts for little; of
whole commands, both these and those on the clock are told. Each part is a process of its own, so peaks are told apart.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import libcachesim
import numpy as np
import orjson
import polars as pl

from safelight.traces.analyses.instances import instances
from safelight.traces.analyses.loading import loading
from safelight.traces.analyses.popularity import popularity
from safelight.traces.caches.policy import LFU, LRU, Capacities, hits_of
from safelight.traces.caches.stream import joined, stream_of
from safelight.traces.parquet import scan_parquet, write_parquet
from safelight.traces.reading import open_trace
from safelight.traces.synthesis.katz_template import KatzTemplate
from safelight.traces.synthesis.synthesize import SynthesisOptions, synthesize
from safelight.traces.usage import usages
from safelight.traces.writing import write_trace

SIZES = range(1, 11)
ONE = 10
"""The size of the caches that are replayed against libcachesim."""

SCRIPTS = Path(__file__).with_name("katz_scripts.py")
RUNS = (
    *(("statistical_analysis", "--service", service) for service in "AB"),
    ("controlnet_invocation_analysis",),
    ("lora_invocation_analysis",),
    *(
        ("adapter_loading_analysis", "--service", service, "--policy", policy)
        for service in "AB"
        for policy in ("LRU", "LFU")
    ),
    *(("unique_lora_loading_analysis", "--service", service) for service in "AB"),
)


def best(repeats, *calls):
    """Return the least processor seconds of each call; they take turns, so that a busy machine is busy for all."""
    seconds = [[] for _ in calls]
    for _ in range(repeats):
        for times, call in zip(seconds, calls, strict=True):
            gc.collect()
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
    return [min(times) for times in seconds]


def run(*command):
    """Run Python; return its seconds on the clock and on processors, its peak in MB, and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed


def make(folder):
    """Write the trace as JSON and as Parquet."""
    table = synthesize([KatzTemplate("A"), KatzTemplate("B")], SynthesisOptions(), seed=1)
    write_trace(table.lazy(), folder / "trace.json", to_format="katz", source="like katz-a and katz-b, seed 1")
    write_parquet(table.lazy(), folder / "trace.parquet", source="like katz-a and katz-b, seed 1")
    return {"requests": len(table)}


def reading(folder, repeats):
    trace = folder / "trace.json"
    data = trace.read_bytes()
    calls = (lambda: open_trace(trace), lambda: orjson.loads(data), lambda: json.loads(data))
    ours, fast, stock = best(repeats, *calls)
    gc.disable()
    ours_alone, fast_alone, stock_alone = best(repeats, *calls)
    gc.enable()
    return {
        "trace_mb": len(data) / 1e6,
        "read_s": ours,
        "orjson_s": fast,
        "json_s": stock,
        "read_vs_orjson": ours / fast,
        "read_vs_json": ours / stock,
        "read_vs_orjson_without_gc": ours_alone / fast_alone,
        "read_vs_json_without_gc": ours_alone / stock_alone,
    }


def analysing(folder, repeats):
    trace = folder / "trace.json"
    ours = [run("-m", "safelight", "trace", "published", trace, "-o", folder / "figures") for _ in range(repeats)]
    theirs = [run(SCRIPTS, script, trace, folder / "figure.pdf", *options) for script, *options in RUNS]
    clock, processors = min(each[0] for each in ours), min(each[1] for each in ours)
    return {
        "published_s": clock,
        "published_cpu_s": processors,
        "scripts_s": sum(each[0] for each in theirs),
        "scripts_cpu_s": sum(each[1] for each in theirs),
        "analyses_speedup": sum(each[0] for each in theirs) / clock,
        "analyses_speedup_cpu": sum(each[1] for each in theirs) / processors,
        "peak_mb": max(each[2] for each in ours),
        "scripts_peak_mb": max(each[2] for each in theirs),
    }


def peer_replay(stream, folder):
    """Return what replays a stream with libcachesim's LRU of one size, and gives the number of loads."""
    starts = np.flatnonzero(np.diff(stream.instances, prepend=-1))
    ends = np.append(starts[1:], len(stream.keys))
    record = [("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")]
    accesses = np.zeros(len(stream.keys), record)
    accesses["id"], accesses["size"], accesses["next"] = stream.keys + 1, 1, -2
    path = folder / "accesses.oracleGeneral.bin"
    accesses.tofile(path)
    reader = libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE)

    def replay():
        loads = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            cache = libcachesim.LRU(ONE, hashpower=8)
            reader.reset()
            loads += round(cache.process_trace(reader, start, end - start)[0] * (end - start))
        return loads

    return replay


def replaying(folder, repeats):
    """Replay the accesses to LoRAs of both services."""
    services = usages(scan_parquet(folder / "trace.parquet")[0])
    stream = joined([stream_of(usage, "loras") for usage in services])
    peer = peer_replay(stream, folder)
    assert peer() == (~hits_of(LRU, stream, Capacities(sizes=[ONE]))).sum()
    ours, theirs, every, *singles = best(
        repeats,
        lambda: hits_of(LRU, stream, Capacities(sizes=[ONE])),
        peer,
        lambda: hits_of(LRU, stream, Capacities(sizes=SIZES)),
        *(lambda size=size: hits_of(LRU, stream, Capacities(sizes=[size])) for size in SIZES),
    )
    (lfu,) = best(1, lambda: hits_of(LFU, stream, Capacities(sizes=SIZES)))
    return {
        "accesses": len(stream.keys),
        "lru_accesses_per_s": len(stream.keys) / ours,
        "libcachesim_accesses_per_s": len(stream.keys) / theirs,
        "replay_vs_libcachesim": theirs / ours,
        "all_sizes_vs_one": every / (sum(singles) / len(singles)),
        "all_sizes_vs_largest": every / ours,
        "lfu_accesses_per_s": len(SIZES) * len(stream.keys) / lfu,
    }


def growing(folder, copies):
    """Analyse a trace that holds the requests so many times."""
    table = pl.scan_parquet(folder / "trace.parquet").with_columns(request_id=None)
    span_s = table.select(pl.col("arrival_s").max() + 1).collect().item()
    path = folder / "long.parquet"
    write_parquet(
        pl.concat([table.with_columns(pl.col("arrival_s") + turn * span_s) for turn in range(copies)]),
        path,
        source="a benchmark",
    )
    _, _, peak_mb, printed = run(__file__, "--part", "once-through", "--folder", folder)
    path.unlink()
    return json.loads(printed) | {"peak_mb": peak_mb}


def once_through(folder):
    """Ask all that needs one pass: how popular adapters are, instances, and the loads of LRU caches of all sizes."""
    started_s, worked_s = time.perf_counter(), time.process_time()
    services = usages(scan_parquet(folder / "long.parquet")[0])
    popularity(services)
    instances(services)
    loading(services, policy=LRU, sizes=SIZES)
    rows = sum(usage.requests for usage in services)
    return {
        "rows": rows,
        "us_per_row": (time.perf_counter() - started_s) / rows * 1e6,
        "cpu_us_per_row": (time.process_time() - worked_s) / rows * 1e6,
    }


def part(folder, name, *options):
    return json.loads(run(__file__, "--part", name, "--folder", folder, *options)[3])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--copies", type=int, default=10, help="growth up to so many times the trace; 91 is 50 million")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    parts = {
        "make": lambda: make(arguments.folder),
        "reading": lambda: reading(arguments.folder, arguments.repeats),
        "replaying": lambda: replaying(arguments.folder, 3 * arguments.repeats),
        "analysing": lambda: analysing(arguments.folder, arguments.repeats),
        "growing": lambda: growing(arguments.folder, arguments.copies),
        "once-through": lambda: once_through(arguments.folder),
    }
    if arguments.part:
        print(json.dumps(parts[arguments.part]()))
        return
    with tempfile.TemporaryDirectory() as name:
        figures = {}
        for step in ("make", "reading", "replaying", "analysing"):
            figures |= part(name, step, "--repeats", arguments.repeats)
        lengths = sorted({1, max(1, arguments.copies // 10), arguments.copies})
        figures["growth"] = [part(name, "growing", "--copies", copies) for copies in lengths]
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:32} {value if name == 'growth' else f'{value:,.4g}'}")


if __name__ == "__main__":
    main()
