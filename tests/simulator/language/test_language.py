import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.adapters.bounded_wait import BoundedWait
from safelight.adapters.mode import ModeCosts
from safelight.adapters.modes import ADAPTER_MODES
from safelight.control.routing.policies import ROUTING_POLICIES
from safelight.simulator.language.jobs import LanguageRequest
from safelight.simulator.language.lengths import LengthEstimate
from safelight.simulator.language.replica import LanguageConfig, LanguageReplica
from safelight.simulator.language.simulate import LanguageSimulation, simulate_language

COSTS = ModeCosts(switch_s=0.02, tick_s=lambda rows: 0.015, unmerged_overhead=0.8, correction_overhead=0.8)
MODES = {mode.name: mode for mode in ADAPTER_MODES}
REQUESTS = st.lists(
    st.tuples(st.floats(0, 2), st.integers(1, 60), st.integers(1, 40), st.sampled_from([None, "a", "b", "c"])),
    min_size=1,
    max_size=25,
)


def config(**changes):
    settings = {
        "max_sequences": 4,
        "max_tokens": 64,
        "kv_blocks": 8,
        "block_tokens": 16,
        "prefill_s_per_token": 0.001,
        "swap_s_per_block": 0.001,
        "adapter_slots": 2,
        "adapter_load_s": 0.003,
        "expected_tokens": 10.0,
        "costs": COSTS,
    }
    return LanguageConfig(**settings | changes)


def request(number, arrived_s=0.0, prompt_tokens=16, output_tokens=4, adapter=None):
    return LanguageRequest(
        id=str(number),
        arrived_s=arrived_s,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        adapter=adapter,
    )


def simulated(requests, *, mode="always-unmerged", workers=1, routing=ROUTING_POLICIES[0], **changes):
    """Return outcomes by id, and the counts."""
    outcomes = []
    counts = simulate_language(
        LanguageSimulation(
            model="llm",
            workers=tuple(f"gpu-{number}" for number in range(1, workers + 1)),
            config=config(**changes),
            make_policy=lambda: BoundedWait(MODES[mode].make(), max_wait_s=float("inf")),
            routing=routing,
            requests=sorted(requests, key=lambda each: each.arrived_s),
        ),
        on_outcome=outcomes.append,
        on_span=lambda span: None,
        on_progress=lambda run: True,
    )
    return {outcome.request.id: outcome for outcome in outcomes}, outcomes, counts


@pytest.mark.parametrize("mode", MODES)
@given(requests=REQUESTS, workers=st.integers(1, 2))
@settings(max_examples=15)
def test_every_request_ends_once_and_takes_as_many_iterations_as_tokens(mode, requests, workers):
    asked = [request(number, *each) for number, each in enumerate(requests)]
    by_id, outcomes, counts = simulated(asked, mode=mode, workers=workers)
    assert len(outcomes) == len(by_id) == len(asked) == counts.ended == counts.arrived
    assert {outcome.status for outcome in outcomes} == {"finished"}
    assert counts.busy_s <= counts.worker_s * (1 + 1e-9)
    for each in asked:
        outcome = by_id[each.id]
        assert outcome.total_s >= each.output_tokens * 0.015 * (1 - 1e-9)
        assert outcome.queue_s + outcome.compute_s <= outcome.total_s * (1 + 1e-9)


@pytest.mark.parametrize("mode", MODES)
@given(requests=REQUESTS)
@settings(max_examples=15)
def test_each_iteration_keeps_the_bounds_and_adds_a_token_to_each_of_its_sequences(mode, requests):
    bounds = config()
    replica = LanguageReplica(bounds, BoundedWait(MODES[mode].make(), max_wait_s=float("inf")))
    for number, each in enumerate(requests):
        replica.add(request(number, *each))
    tokens = 0
    while replica.sequences:
        before = {each: each.generated for each in replica.sequences}
        iteration = replica.iterate(0.0)
        advanced = [each for each, generated in before.items() if each.generated == generated + 1]
        assert len(advanced) == iteration.sequences
        assert all(each.generated <= generated + 1 for each, generated in before.items())
        assert 1 <= iteration.sequences <= bounds.max_sequences
        assert iteration.tokens <= bounds.max_tokens
        held = sum(each.blocks for each in replica.sequences)
        assert held + replica.free_blocks == bounds.kv_blocks
        assert replica.free_blocks >= 0
        assert all(each.request.output_tokens == each.generated for each in iteration.finished)
        tokens += iteration.sequences
    assert tokens == sum(output_tokens for _, _, output_tokens, _ in requests)


@given(requests=REQUESTS)
@settings(max_examples=20)
def test_running_sequences_hold_the_blocks_of_all_their_tokens(requests):
    replica = LanguageReplica(config(), BoundedWait(MODES["payback"].make(), max_wait_s=1.0))
    for number, each in enumerate(requests):
        replica.add(request(number, *each))
    while replica.iterate(0.0):
        for each in replica.sequences:
            assert each.blocks in {0, -(-(each.tokens - 1) // 16)}


@pytest.mark.parametrize("routing", ROUTING_POLICIES, ids=lambda policy: policy.name)
@given(requests=REQUESTS)
@settings(max_examples=10)
def test_every_routing_policy_of_the_controller_serves_every_request_once(routing, requests):
    asked = [request(number, *each) for number, each in enumerate(requests)]
    by_id, outcomes, _ = simulated(asked, workers=3, routing=routing)
    assert len(by_id) == len(outcomes) == len(asked)


def test_dispatch_by_adapter_loads_fewer_adapters_than_round_robin():
    asked = [request(number, number / 100, 16, 20, "abcdef"[number % 5]) for number in range(60)]
    policies = {policy.name: policy for policy in ROUTING_POLICIES}
    affine, plain = (
        simulated(asked, workers=2, routing=policies[name], adapter_slots=2)[2].adapter_loads
        for name in ("dlora-dispatch", "round-robin")
    )
    assert affine < plain


@given(requests=REQUESTS)
def test_the_same_requests_give_the_same_outcomes(requests):
    asked = [request(number, *each) for number, each in enumerate(requests)]
    assert simulated(asked, mode="payback")[1] == simulated(asked, mode="payback")[1]


def test_a_request_alone_takes_its_prompt_and_an_iteration_for_each_token():
    by_id, _, _ = simulated([request(0, prompt_tokens=20, output_tokens=5)])
    assert by_id["0"].total_s == pytest.approx(20 * 0.001 + 5 * 0.015)


def test_an_unmerged_adapter_makes_iterations_longer_and_a_merged_one_costs_a_switch():
    asked = [request(0, prompt_tokens=1, output_tokens=100, adapter="a")]
    unmerged, merged = (simulated(asked, mode=f"always-{mode}")[0]["0"].total_s for mode in ("unmerged", "merged"))
    assert unmerged == pytest.approx(0.003 + 0.001 + 100 * 0.027)
    assert merged == pytest.approx(0.003 + 0.001 + 0.02 + 100 * 0.015)


@pytest.mark.parametrize("changes", [{"kv_blocks": 2}, {"max_tokens": 40}], ids=["memory", "iteration"])
def test_a_request_that_never_fits_is_refused(changes):
    by_id, _, _ = simulated([request(0, prompt_tokens=41)], **changes)
    assert (by_id["0"].status, by_id["0"].reason) == ("rejected", "too_long")


def test_older_sequences_preempt_younger_ones_when_memory_is_short():
    asked = [request(number, prompt_tokens=16, output_tokens=40) for number in range(4)]
    _, outcomes, counts = simulated(asked, kv_blocks=8)
    assert counts.pauses > 0
    assert outcomes[0].request.id == "0"


def test_memory_is_free_again_when_all_have_finished():
    replica = LanguageReplica(config(), BoundedWait(MODES["payback"].make(), max_wait_s=1.0))
    for number in range(6):
        replica.add(request(number, output_tokens=30, adapter="a" if number % 2 else None))
    now = 0.0
    while iteration := replica.iterate(now):
        now += iteration.seconds
    assert replica.free_blocks == 8


def test_lengths_are_expected_to_be_the_mean_of_finished_ones():
    lengths = LengthEstimate(10.0)
    lengths.observe(30)
    assert (lengths.mean, lengths.remaining(5), lengths.remaining(50)) == (20.0, 15, 1)
