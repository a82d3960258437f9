from pathlib import Path

from safelight.simulator.running.plan import plan_of
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import SMALL

POLICIES = '[policies]\nours = "order=deadline"\n'
VARIANTS = """
[[variants]]
name = "plain"
set = {}

[[variants]]
name = "arrival"
set = { "policies.ours" = "order=arrival", "policies.more" = "order=arrival" }
"""


def plan(text, **options):
    return plan_of(parse_scenario(text), path=Path("x.toml"), **options)


def test_a_variant_that_sets_policies_runs_and_reports_them():
    found = plan(POLICIES + SMALL + VARIANTS)
    assert [(key.variant, found.policies[key.variant][key.policy]) for key in found.keys] == [
        ("plain", ("order=deadline",)),
        ("arrival", ("order=arrival",)),
        ("arrival", ("order=arrival",)),
    ]
    document = found.document([])
    assert document.policies == {"ours": ("order=deadline",), "more": ("order=arrival",)}
    assert document.variant_policies == {"arrival": {"ours": ("order=arrival",)}}


def test_a_policy_of_one_variant_can_be_chosen():
    keys = plan(POLICIES + SMALL + VARIANTS, policies=["more", "order=arrival,admission=open"]).keys
    assert [(key.variant, key.policy) for key in keys] == [
        ("plain", "order=arrival,admission=open"),
        ("arrival", "more"),
        ("arrival", "order=arrival,admission=open"),
    ]
