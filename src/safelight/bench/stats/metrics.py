"""The metrics of a load, by name: those of vLLM-Omni's benchmark under its names, and more."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from safelight.bench.failures import KINDS
from safelight.bench.records import Record
from safelight.bench.run import Run
from safelight.bench.stats.intervals import intervals_of
from safelight.bench.stats.resampling import QUANTILES, mean_and_quantiles

Metrics = dict[str, Any]

SAMPLES = 3
"""How many messages of each kind of failure are kept."""

MOST_GROUPS = 50
DIGITS = 6


def compute_metrics(*runs: Run) -> Metrics:
    """Return all metrics of one load that was run once or more often; times are in seconds, latencies of successes.

    Metrics cover all runs together, and `runs` holds those of each run. Runs that did not start are left out.
    """
    begun = [run for run in runs if run.records]
    records = [record for run in begun for record in run.ended]
    good = [record for record in records if record.is_success]
    latencies_s = np.array([record.latency_s for record in good])
    duration_s = sum(run.duration_s for run in begun)
    intervals = intervals_of(begun)
    return {
        "duration": duration_s,
        "completed_requests": len(good),
        "failed_requests": len(records) - len(good),
        "failed_share": (len(records) - len(good)) / max(1, len(records)),
        "throughput_qps": _rate(len(good), duration_s),
        **_latency(latencies_s),
        **_memory(good),
        **_stages(good),
        **_attainment(runs[0], records, duration_s),
        **_since_due(begun, records),
        **_client(runs),
        **_server(good),
        **_previews(good),
        **_scenes(good),
        **_videos(runs[0], good),
        "failures": _failures(records),
        "rejected_requests": sum(record.failure == "rejected" for record in records),
        "turned_away": sum(record.turned_away for record in records),
        "by_size": _groups(records, lambda record: record.request.shape.size),
        "by_adapters": _groups(records, lambda record: record.request.composition),
        "by_tenant": _groups(records, lambda record: record.request.tenant),
        "by_service": _groups(records, lambda record: record.request.service),
        "runs": [_run(run) for run in begun],
        "confidence": {name: list(bounds) for name, bounds in intervals.bounds.items()},
        "effective_requests": dict(intervals.sizes),
        "latencies_s": np.round(latencies_s, DIGITS).tolist(),
    }


def distribution_metrics(name: str, values: Iterable[float]) -> Metrics:
    """Return mean, quantiles and maximum of values as `name_mean` and so on; {} if there are no values."""
    found = np.fromiter(values, float)
    if not len(found):
        return {}
    metrics = [*mean_and_quantiles(found), found.max()]
    return {f"{name}_{key}": float(value) for key, value in zip(("mean", *QUANTILES, "max"), metrics, strict=True)}


def _latency(latencies_s: np.ndarray[Any, np.dtype[np.float64]]) -> Metrics:
    if not len(latencies_s):
        return dict.fromkeys(f"latency_{key}" for key in ("mean", "median", *QUANTILES))
    found = distribution_metrics("latency", latencies_s)
    return found | {"latency_median": found["latency_p50"], "latency_min": float(latencies_s.min())}


def _memory(good: Sequence[Record]) -> Metrics:
    found = [record.peak_memory_mb for record in good if record.peak_memory_mb is not None]
    if not found:
        return {}
    return {
        "peak_memory_mb_max": max(found),
        "peak_memory_mb_mean": float(np.mean(found)),
        "peak_memory_mb_median": float(np.median(found)),
    }


def _stages(good: Sequence[Record]) -> Metrics:
    found = defaultdict[str, list[float]](list)
    for record in good:
        for stage, value_s in (record.stages_s or {}).items():
            found[stage].append(value_s)
    if not found:
        return {}
    statistics: dict[str, Callable[[list[float]], Any]] = {
        "mean": np.mean,
        "p50": np.median,
        "p99": lambda values: np.quantile(values, 0.99),
    }
    return {
        f"stage_durations_{name}": {stage: float(statistic(values)) for stage, values in found.items()}
        for name, statistic in statistics.items()
    }


def _attainment(run: Run, records: Sequence[Record], duration_s: float) -> Metrics:
    bound = _bound(records)
    if not bound:
        return {}
    met = sum(record.has_met for record in bound)
    return {
        "slo_attainment_rate": met / len(bound),
        "slo_met_success": met,
        "slo_scale": run.config.slo_scale,
        "slo_requests": len(bound),
        "slo_source": _source(run),
        **distribution_metrics("deadline", (record.request.deadline_s or 0.0 for record in bound)),
        "goodput_qps": _rate(met, duration_s),
    }


def _source(run: Run) -> str:
    """Return where deadlines come from; the configuration has those that are not estimated."""
    explicit, requests = (
        sum(request.deadline_s is not None for request in run.config.requests),
        len(run.config.requests),
    )
    if run.estimate is None:
        return "explicit"
    return (
        f"explicit for {explicit:,} of {requests:,}, else {run.estimate.description}"
        if explicit
        else run.estimate.description
    )


def _since_due(runs: Sequence[Run], records: Sequence[Record]) -> Metrics:
    """Return latencies since due times, if the concurrency limit hides waits from plain latencies."""
    if not any(run.has_hidden_waits for run in runs):
        return {}
    bound = _bound(records)
    share = sum(record.has_met_since_due for record in bound) / max(1, len(bound))
    return {
        **distribution_metrics("latency_since_due", (record.since_due_s for record in records if record.is_success)),
        **({"slo_attainment_rate_since_due": share} if bound else {}),
    }


def _bound(records: Sequence[Record]) -> Sequence[Record]:
    return [record for record in records if record.request.deadline_s is not None]


def _client(runs: Sequence[Run]) -> Metrics:
    """Return how far the client itself kept to the plan."""
    ended = [run.ended for run in runs]
    records = [record for each in ended for record in each]
    sending_s = sum(max((record.sent_s for record in each), default=0.0) for each in ended)
    is_limited = runs[0].config.max_concurrency is not None
    return {
        "partial": any(run.is_partial for run in runs),
        "unsent_requests": sum(run.unsent for run in runs),
        "cancelled_requests": sum(len(run.records) - len(run.ended) for run in runs),
        "sent_qps": _rate(sum(max(0, len(each) - 1) for each in ended), sending_s),
        "unchecked_pictures": sum(run.unchecked for run in runs),
        **distribution_metrics("send_lag", (record.send_lag_s for record in records)),
        **(distribution_metrics("semaphore_wait", (record.wait_s for record in records)) if is_limited else {}),
    }


def _server(good: Sequence[Record]) -> Metrics:
    timed = [record for record in good if record.queue_s is not None and record.compute_s is not None]
    return {
        **distribution_metrics("queue", (record.queue_s for record in good if record.queue_s is not None)),
        **distribution_metrics("compute", (record.compute_s for record in good if record.compute_s is not None)),
        **distribution_metrics(
            "transfer",
            (record.done_s - record.sent_s - (record.queue_s or 0.0) - (record.compute_s or 0.0) for record in timed),
        ),
    }


def _previews(good: Sequence[Record]) -> Metrics:
    first_s = [record.first_preview_s - record.released_s for record in good if record.first_preview_s is not None]
    return distribution_metrics("first_preview", first_s) | (
        {"previews": sum(record.previews for record in good)} if first_s else {}
    )


def _scenes(good: Sequence[Record]) -> Metrics:
    found = [record.scene_score for record in good if record.scene_score is not None]
    if not found:
        return {}
    return {"scene_score_mean": float(np.mean(found)), "scene_all_facts_share": float(np.mean(np.equal(found, 1.0)))}


def _videos(run: Run, good: Sequence[Record]) -> Metrics:
    """Return whether videos were decoded, and how many are stills."""
    if not run.config.is_for_videos:
        return {}
    if not run.config.checks_pictures or run.config.decode is None:
        return {"videos_decoded": False}
    return {"videos_decoded": True, "still_videos": sum(record.is_still for record in good)}


def _failures(records: Sequence[Record]) -> Metrics:
    kinds = Counter(record.failure for record in records if record.failure)
    samples = defaultdict[str, list[str]](list)
    for record in records:
        if record.failure and len(samples[record.failure]) < SAMPLES and record.message not in samples[record.failure]:
            samples[record.failure].append(record.message)
    return {
        kind: {"count": count, "meaning": KINDS[kind], "samples": samples[kind]} for kind, count in kinds.most_common()
    }


def _groups(records: Sequence[Record], key: Callable[[Record], str | None]) -> Metrics:
    """Return metrics of the largest groups; {} if there is only one."""
    found = defaultdict[str, list[Record]](list)
    for record in records:
        if (name := key(record)) is not None:
            found[name].append(record)
    if len(found) < 2:
        return {}
    largest = sorted(found, key=lambda name: (-len(found[name]), name))[:MOST_GROUPS]
    return {name: _group(found[name]) for name in largest}


def _run(run: Run) -> Metrics:
    metrics = _group(run.ended)
    bound = _bound(run.ended)
    return {
        "began_at": run.began_at,
        "duration": run.duration_s,
        **metrics,
        "failed_requests": metrics["requests"] - metrics["completed_requests"],
        "throughput_qps": _rate(metrics["completed_requests"], run.duration_s),
        **({"goodput_qps": _rate(sum(record.has_met for record in bound), run.duration_s)} if bound else {}),
    }


def _group(records: Sequence[Record]) -> Metrics:
    good = [record for record in records if record.is_success]
    bound = _bound(records)
    attainment = {"slo_attainment_rate": sum(record.has_met for record in bound) / len(bound)} if bound else {}
    return {
        "requests": len(records),
        "completed_requests": len(good),
        **distribution_metrics("latency", (record.latency_s for record in good)),
        **attainment,
        **_scenes(good),
    }


def _rate(count: int, format_seconds: float) -> float:
    return count / format_seconds if format_seconds > 0 else 0.0
