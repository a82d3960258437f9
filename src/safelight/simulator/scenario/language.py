"""`[language]`: the scenario's only model is a language model."""

from collections.abc import Sequence

import msgspec

from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Count, Factor, NotNegative, Numbers, check_numbers


class LanguageWork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a replica of a language model has and costs.

    A profile's seconds of one call are those of an iteration by sequences, and steps of the mix are output tokens.

    Attributes:
        prompt_tokens: of requests.
        max_tokens: of one iteration: those of prompts, and one of each sequence that decodes.
        kv_blocks: memory for keys and values.
        block_tokens: of a block.
        prefill_s_per_token: further seconds of an iteration for each token of a prompt.
        swap_s_per_block: seconds of moving one block to or from host memory.
        adapter_slots: adapters on the device.
        adapter_load_s: seconds of copying one to the device.
        expected_tokens: of an output, before any has finished; then it is the mean of the finished ones.
        max_wait_s: bound on the wait that an adapter mode may cause; None is none, as published for dLoRA.
    """

    prompt_tokens: Numbers = 256
    max_tokens: Count = 4096
    kv_blocks: Count = 4096
    block_tokens: Count = 16
    prefill_s_per_token: NotNegative = 0.0
    swap_s_per_block: NotNegative = 0.0
    adapter_slots: Count = 8
    adapter_load_s: NotNegative = 0.0
    expected_tokens: Factor = 128.0
    max_wait_s: Factor | None = None


def check_language(language: LanguageWork | None, models: Sequence[str], *, has_steps: bool) -> None:
    """Raise BadScenario for language work of several models, or without numbers of output tokens."""
    if language is None:
        return
    check_numbers(language.prompt_tokens, "language.prompt_tokens")
    if len(models) != 1:
        raise BadScenario(f"needs exactly one model, and there are {len(models)}.", place="language")
    if not has_steps:
        raise BadScenario(
            "is missing in a kind of requests; it is the number of output tokens.", place="workload.mix.steps"
        )
