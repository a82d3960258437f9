"""From a scenario with a language model to what its simulator takes."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, islice

import numpy as np

from safelight.adapters.bounded_wait import BoundedWait
from safelight.adapters.mode import ModeCosts
from safelight.control.policies import Policies
from safelight.core.errors import shorten
from safelight.core.model import AdapterCosts
from safelight.core.request import ImageRequest
from safelight.profiles.parts import Spread
from safelight.simulator.errors import BadScenario
from safelight.simulator.language.jobs import LanguageRequest
from safelight.simulator.language.replica import LanguageConfig
from safelight.simulator.language.simulate import LanguageSimulation
from safelight.simulator.scenario.language import LanguageWork
from safelight.simulator.scenario.quantities import draw_numbers
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.served_models import ServedModel, rows_per_call

BLOCK = 1024
NO_COSTS = AdapterCosts(switch_s=0.0, unmerged_overhead=0.0, correction_overhead=0.0)


def language_simulation(
    scenario: Scenario,
    served: Mapping[str, ServedModel],
    policies: Policies,
    requests: Iterable[ImageRequest],
    *,
    seed: int,
) -> LanguageSimulation:
    """Return a run of a scenario whose only model is a language model; raises BadScenario."""
    assert scenario.language is not None
    (group,) = scenario.fleet
    (model,) = served.values()
    work, mode = scenario.language, policies.adapter_mode
    if model.profile.spread != Spread():
        raise BadScenario(
            "has a `spread`, which language work does not follow.", place=f"models.{model.spec.name}.profile"
        )
    max_wait_s = math.inf if work.max_wait_s is None else work.max_wait_s
    return LanguageSimulation(
        model=model.spec.name,
        workers=group.worker_names,
        config=LanguageConfig(
            max_sequences=rows_per_call(group, served),
            max_tokens=work.max_tokens,
            kv_blocks=work.kv_blocks,
            block_tokens=work.block_tokens,
            prefill_s_per_token=work.prefill_s_per_token / group.speed,
            swap_s_per_block=work.swap_s_per_block,
            adapter_slots=work.adapter_slots,
            adapter_load_s=work.adapter_load_s,
            expected_tokens=work.expected_tokens,
            costs=_costs(model, group.speed),
        ),
        make_policy=lambda: BoundedWait(mode.make(), max_wait_s=max_wait_s),
        routing=policies.routing,
        requests=_requests(requests, work, seed),
        warmup_s=scenario.warmup_s,
    )


def _costs(model: ServedModel, speed: float) -> ModeCosts:
    costs = model.profile.adapter_costs or NO_COSTS
    width, height = model.spec.width, model.spec.height
    return ModeCosts(
        switch_s=costs.switch_s / speed,
        tick_s=cache(lambda rows: model.profile.tick_s(rows, width=width, height=height) / speed),
        unmerged_overhead=costs.unmerged_overhead,
        correction_overhead=costs.correction_overhead,
    )


def _output_tokens(request: ImageRequest) -> int:
    """Return the length of a text; raises BadScenario for a request of a trace that is no text."""
    place = "workload"
    if request.steps is None:
        raise BadScenario(
            f"has the request {shorten(request.id)} without steps, its number of output tokens; give `steps` in "
            "workload.mix.",
            place=place,
        )
    if len(request.loras) > 1 or request.controlnets or request.source is not None:
        raise BadScenario(
            f"has the request {shorten(request.id)} with several LoRAs, a ControlNet or a start picture; a text has at "
            "most one LoRA.",
            place=place,
        )
    return request.steps


def _requests(requests: Iterable[ImageRequest], work: LanguageWork, seed: int) -> Iterator[LanguageRequest]:
    rng = np.random.default_rng([seed, 2])
    remaining = iter(requests)
    while first := next(remaining, None):
        some = list(chain([first], islice(remaining, BLOCK - 1)))
        prompts = draw_numbers(work.prompt_tokens, len(some), rng).tolist()
        for request, prompt_tokens in zip(some, prompts, strict=True):
            yield LanguageRequest(
                id=request.id,
                arrived_s=request.arrived_s,
                prompt_tokens=prompt_tokens,
                output_tokens=_output_tokens(request),
                adapter=request.loras[0].name if request.loras else None,
                deadline_s=request.deadline_s,
            )
