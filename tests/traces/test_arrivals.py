"""Laws of arrival processes."""

import itertools

import numpy as np
import pytest
from scipy import stats

from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.diurnal import Diurnal
from safelight.traces.arrivals.process import endless, first, until
from safelight.traces.arrivals.processes import PROCESSES
from safelight.traces.arrivals.recorded import Recorded
from safelight.traces.arrivals.renewal import Constant, Gamma, Poisson
from safelight.traces.errors import BadArrivals

TRACE_S = (100.0, 101.0, 101.0, 104.5, 109.0)
EXAMPLES = (
    Constant(),
    Poisson(),
    Gamma(cv=0.3),
    Gamma(cv=2),
    Bursty(burst_s=3),
    Diurnal(period_s=50),
    Diurnal(period_s=50, of=Bursty(burst_s=3)),
    Recorded(times_s=TRACE_S),
    Recorded(times_s=TRACE_S, of=Poisson()),
)
RATE = 2.5

every_process = pytest.mark.parametrize("process", EXAMPLES, ids=repr)


def generator(seed=1):
    return np.random.default_rng(seed)


def test_there_is_an_example_of_every_process():
    assert {type(process) for process in EXAMPLES} == set(PROCESSES)
    assert len({process.name for process in PROCESSES}) == len(PROCESSES)


@every_process
def test_arrivals_are_in_order_and_not_negative(process):
    times_s = first(process, 20_000, rate=RATE, rng=generator())
    assert len(times_s) == 20_000
    assert times_s[0] >= 0
    assert (np.diff(times_s) >= 0).all()


@every_process
def test_the_mean_rate_is_the_one_asked_for(process):
    times_s = first(process, 400_000, rate=RATE, rng=generator())
    assert len(times_s) / times_s[-1] == pytest.approx(RATE, rel=0.03)


@every_process
def test_the_same_seed_gives_the_same_arrivals_however_they_are_drawn(process):
    times_s = first(process, 5000, rate=RATE, rng=generator())
    horizon_s = times_s[4000]
    assert (until(process, horizon_s, rate=RATE, rng=generator()) == times_s[times_s < horizon_s]).all()
    assert list(itertools.islice(endless(process, rate=RATE, rng=generator()), 5000)) == times_s.tolist()


@every_process
def test_nobody_arrives_before_a_horizon_of_nothing(process):
    assert len(until(process, 0, rate=RATE, rng=generator())) == 0
    assert len(first(process, 0, rate=RATE, rng=generator())) == 0


@every_process
@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(process, rate):
    with pytest.raises(BadArrivals, match="positive number of arrivals"):
        first(process, 1, rate=rate, rng=generator())
    with pytest.raises(BadArrivals, match="positive number of arrivals"):
        until(process, 1, rate=rate, rng=generator())
    with pytest.raises(BadArrivals, match="positive number of arrivals"):
        endless(process, rate=rate, rng=generator())


def test_a_horizon_without_end_and_a_negative_number_are_refused():
    with pytest.raises(BadArrivals, match="finite number of seconds"):
        until(Poisson(), float("inf"), rate=1, rng=generator())
    with pytest.raises(BadArrivals, match="cannot be negative"):
        first(Poisson(), -1, rate=1, rng=generator())


def test_constant_arrivals_are_exact_however_many_there_are():
    times_s = first(Constant(), 100_000, rate=3, rng=generator())
    assert times_s.tolist() == [count / 3 for count in range(100_000)]


@pytest.mark.parametrize(("process", "cv"), [(Constant(), 0), (Poisson(), 1), (Gamma(cv=0.25), 0.25), (Gamma(cv=3), 3)])
def test_gaps_have_their_coefficient_of_variation(process, cv):
    gaps_s = np.diff(first(process, 400_000, rate=RATE, rng=generator()))
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(cv, rel=0.02, abs=1e-9)


def dispersion(times_s, window_s):
    """Variance of the numbers of arrivals in windows, divided by their mean."""
    counts = np.bincount((times_s / window_s).astype(int))[:-1]
    return counts.var() / counts.mean()


@pytest.mark.parametrize("cv", [0.5, 1, 2])
def test_the_dispersion_of_renewals_comes_to_the_square_of_their_cv(cv):
    times_s = first(Gamma(cv=cv), 1_000_000, rate=1, rng=generator())
    assert dispersion(times_s, 200) == pytest.approx(cv**2, rel=0.1)


def test_given_their_number_poisson_arrivals_are_as_uniform_draws():
    times_s = until(Poisson(), 10_000, rate=RATE, rng=generator())
    assert stats.kstest(times_s / 10_000, "uniform").pvalue > 0.01
    gaps_s = np.diff(times_s)
    assert stats.kstest(gaps_s * RATE, "expon").pvalue > 0.01


@pytest.mark.parametrize("process", [Bursty(factor=6, share=0.2, burst_s=10), Bursty(factor=20, share=0.05, burst_s=4)])
def test_bursts_have_the_dispersion_of_a_markov_modulated_poisson_process(process):
    times_s = first(process, 1_000_000, rate=RATE, rng=generator())
    quiet, burst = (RATE * level for level in process.levels)
    into = process.share / (1 - process.share) / process.burst_s
    out = 1 / process.burst_s
    # Heffes and Lucantoni, IEEE JSAC 4(6), 1986: the index of dispersion for counts over a long time.
    limit = 1 + 2 * (quiet - burst) ** 2 * into * out / ((into + out) ** 2 * (quiet * out + burst * into))
    assert dispersion(times_s, 2000) == pytest.approx(limit, rel=0.15)


def test_the_rate_in_bursts_is_a_multiple_of_the_rate_between_them():
    process = Bursty(factor=8, share=0.25)
    quiet, burst = process.levels
    assert burst == pytest.approx(8 * quiet)
    assert 0.75 * quiet + 0.25 * burst == pytest.approx(1)


def test_over_even_gaps_a_day_is_followed_exactly():
    times_s = until(Diurnal(amplitude=0.8, period_s=1000, of=Constant()), 5000, rate=10, rng=generator())
    ends_s = np.arange(1, 500) * 10.0
    phases = 2 * np.pi * ends_s / 1000
    expected = 10 * (ends_s - 0.8 * np.sin(phases) * 1000 / (2 * np.pi))
    assert np.abs(np.searchsorted(times_s, ends_s) - expected).max() < 1.1


def test_a_recording_at_its_own_rate_is_itself_and_then_comes_again():
    recording = Recorded(times_s=TRACE_S)
    times_s = first(recording, 10, rate=recording.rate, rng=generator())
    assert times_s[:5].tolist() == [0, 1, 1, 4.5, 9]
    assert times_s[5:].tolist() == (times_s[:5] + 9 * 5 / 4).tolist()


def test_a_recording_runs_faster_at_a_higher_rate():
    recording = Recorded(times_s=TRACE_S)
    times_s = first(recording, 12, rate=recording.rate, rng=generator())
    assert first(recording, 12, rate=4 * recording.rate, rng=generator()) == pytest.approx(times_s / 4)


def test_new_arrivals_after_a_recording_are_as_frequent_as_there():
    recording = Recorded(times_s=np.sort(generator().uniform(0, 100, 5000) ** 2))
    again_s = first(Recorded(times_s=recording.times_s, of=Poisson()), 4900, rate=recording.rate, rng=generator(2))
    assert set(np.round(again_s, 9)).isdisjoint(np.round(recording.times_s, 9))
    counts, edges = np.histogram(recording.times_s - recording.times_s[0], bins=20)
    new_counts, _ = np.histogram(again_s, bins=edges)
    assert np.abs(new_counts - counts)[:-1].max() < 5 * np.sqrt(counts.max())


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (Gamma, {"cv": 0}, "coefficient of variation is 0"),
        (Gamma, {"cv": float("nan")}, "must be positive"),
        (Bursty, {"factor": 0.5}, "at least 1"),
        (Bursty, {"share": 1}, "between 0 and 1"),
        (Bursty, {"burst_s": 0}, "positive number of seconds"),
        (Diurnal, {"amplitude": 1.5}, "between 0 and 1"),
        (Diurnal, {"period_s": float("inf")}, "positive number of seconds"),
        (Recorded, {"times_s": [1.0]}, "span some time"),
        (Recorded, {"times_s": [1.0, 1.0]}, "span some time"),
        (Recorded, {"times_s": [1.0, 0.5, 3.0]}, "in order"),
        (Recorded, {"times_s": [1.0, float("nan"), 3.0]}, "in order"),
    ],
    ids=str,
)
def test_a_process_that_cannot_be_is_refused_with_its_value_and_its_rule(kind, settings, words):
    with pytest.raises(BadArrivals, match=words):
        kind(**settings)
