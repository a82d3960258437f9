"""PEFT's own matcher is the oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft.utils.other import get_pattern_key

from diffusion.lora.tiny import tiny_unet
from safelight.diffusion.lora.patterns import Patterns
from safelight.diffusion.lora.targets import lora_targets

MODULES = sorted(lora_targets(tiny_unet()))
PIECES = ["^", "down_blocks", "resnets", "conv1", "to_q", "attn1", ".", r"\.", ".*", r"\d", "0", "$"]
WHOLE = [
    "to_q",
    "^conv_in",
    "conv_in$",
    "^conv1",
    r"down_blocks\.\d\.resnets.*",
    ".*",
    "up_blocks.*conv1",
    *MODULES[:9],
]


@given(st.dictionaries(st.sampled_from(WHOLE), st.integers(1, 64)), st.sampled_from(MODULES))
def test_the_first_pattern_that_matches_counts(numbers, module):
    assert Patterns(numbers).find(module) == numbers.get(get_pattern_key(numbers, module))


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join), st.sampled_from(MODULES))
def test_a_pattern_matches_as_peft_says_or_is_refused(pattern, module):
    try:
        patterns = Patterns({pattern: 1})
    except ValueError:
        return
    assert patterns.find(module) == {pattern: 1}.get(get_pattern_key([pattern], module))


@pytest.mark.parametrize("pattern", ["(a+)+$", "to_(q|k)", "to_q|to_k", "[ab]", "a{9}", "x*", r"\w", r"\.*", "", "$"])
def test_other_regular_expressions_are_refused(pattern):
    with pytest.raises(ValueError, match="runs no other regular expressions"):
        Patterns({pattern: 1})


def test_a_hostile_pattern_takes_no_time():
    assert Patterns({".*a" * 40 + "b": 1}).find("a" * 200) is None
