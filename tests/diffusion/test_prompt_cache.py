"""Prompts that were encoded before are not encoded again, and pictures stay the same."""

import numpy as np
import torch

from safelight.core.adapter import NO_ADAPTERS
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.prompt_cache import PromptCache


def conditioning(value: float) -> Conditioning:
    return Conditioning(context=torch.full((4, 8), value), pooled=torch.full((8,), value), prompt_tokens=3)


SIZE = 4 * 8 * 4 + 8 * 4


def test_a_cache_keeps_what_was_used_last_within_its_bytes():
    cache = PromptCache(2 * SIZE)
    for number in range(3):
        cache.keep(("", str(number), NO_ADAPTERS), conditioning(float(number)))
        cache.get(("", "0", NO_ADAPTERS))
    assert [cache.get(("", str(number), NO_ADAPTERS)) is not None for number in range(3)] == [True, False, True]
    assert cache.held_bytes == 2 * SIZE


def test_a_kept_prompt_does_not_keep_its_whole_batch():
    batch = torch.zeros(16, 4, 8)
    cache = PromptCache()
    cache.keep(("", "a", NO_ADAPTERS), Conditioning(context=batch[0], prompt_tokens=1))
    kept = cache.get(("", "a", NO_ADAPTERS))
    assert kept is not None
    assert kept.context.untyped_storage().nbytes() == 4 * 8 * 4


def test_a_known_prompt_gives_the_same_bytes(engine, ask):
    def picture(name: str) -> np.ndarray:
        engine.begin([ask(name, steps=3, prompt="a small green heart on a beige background")])
        knew.append(engine.knew_prompt(name))
        for _ in range(3):
            engine.step([name])
        return np.frombuffer(engine.finish([name])[0].rgb, np.uint8)

    knew: list[bool] = []
    assert (picture("first") == picture("second")).all()
    assert knew == [False, True]


def test_a_prompt_of_another_tenant_is_encoded_again(engine, ask):
    engine.begin([ask("mine", prompt="a large cyan cross", tenant="one")])
    engine.begin([ask("theirs", prompt="a large cyan cross", tenant="two")])
    assert not engine.knew_prompt("theirs")
    engine.drop("mine")
    engine.drop("theirs")
