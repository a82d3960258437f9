"""How often 95 % intervals of `safelight bench` hold the truth, where that is known.

python benchmarks/bench_intervals.py
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from safelight.bench.stats.resampling import Bounds, Values, effective_size, interval, resampled, share_interval

LOADS = 400
REQUESTS = 200
RNG = np.random.default_rng(0)


def main() -> None:
    """Print a line for each kind of figure and number of runs."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for runs in (2, 3, 5, 8):
        differ = [_shares(RNG.beta(20, 2, size=runs)) for _ in range(LOADS)]
        alike = [_shares(np.full(runs, 20 / 22)) for _ in range(LOADS)]
        print(f"share, {runs} runs: {_held(differ, _of_share, 20 / 22)} if they differ, ", end="")
        print(f"{_held(alike, _of_share, 20 / 22)} if they do not")
        differ, alike = ([_times(sd, runs) for _ in range(LOADS)] for sd in (1.0, 0.0))
        print(f"mean, {runs} runs: {_held(differ, _of_mean, 10.0)} if they differ, ", end="")
        print(f"{_held(alike, _of_mean, 10.0)} if they do not")
    for deadline_s in (4.0, 6.0):
        loads = [[_queue(1000, deadline_s)] for _ in range(LOADS)]
        truth = np.mean([_rates(load[0]) for load in loads], axis=0)
        print(
            f"one run of 1,000 requests at 80 % of what a server can do, deadline {deadline_s:g} times its work:",
            end=" ",
        )
        print(
            ", ".join(
                f"{name} {_held(loads, _of_rate(at), truth[at])}" for at, name in enumerate(("throughput", "goodput"))
            )
        )


def _held(loads: Sequence[Sequence[Values]], bounds_of: Callable[[Sequence[Values]], Bounds], truth: float) -> str:
    found = [bounds_of(load) for load in loads]
    return f"{sum(low <= truth <= high for low, high in found) / len(found):.2f}"


def _shares(shares: Values) -> Sequence[Values]:
    return [(RNG.random(REQUESTS) < share).astype(float) for share in shares]


def _times(sd: float, runs: int) -> Sequence[Values]:
    return [RNG.normal(loc=10 + sd * RNG.normal(), size=REQUESTS) for _ in range(runs)]


def _queue(count: int, deadline_s: float) -> Values:
    """Return gaps between answers of a queue before one server that takes 1 s, and which came in time."""
    gaps_s, waits_s = RNG.exponential(size=count) / 0.8, np.zeros(count)
    for place in range(1, count):
        waits_s[place] = max(0.0, waits_s[place - 1] + 1 - gaps_s[place])
    done_s = np.cumsum(gaps_s) + waits_s + 1
    return np.column_stack([np.diff(done_s, prepend=0.0), np.ones(count), waits_s + 1 <= deadline_s])


def _rates(answers: Values) -> Values:
    duration_s, result_of, met = answers.sum(axis=0)
    return np.array([result_of, met]) / duration_s


def _of_share(runs: Sequence[Values]) -> Bounds:
    return share_interval(float(np.concatenate(runs).mean()), effective_size(runs))


def _of_mean(runs: Sequence[Values]) -> Bounds:
    return interval(resampled(runs, np.mean, rng=RNG, draws=200))


def _of_rate(at: int) -> Callable[[Sequence[Values]], Bounds]:
    return lambda runs: interval(resampled(runs, _rates, rng=RNG, draws=200)[:, at])


if __name__ == "__main__":
    main()
