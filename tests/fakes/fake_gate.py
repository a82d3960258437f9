"""A gate that reads its score from the prompt."""

from collections.abc import Sequence

from safelight.core.model import GateSpec
from safelight.core.pixels import Pixels

UNSAID = 0.5


class FakeGate:
    """The score of a picture is the last word of its prompt, if that is a number, or `UNSAID`.

    A prompt that contains "no score" makes it fail. It keeps the pictures of each call.
    """

    def __init__(self, name: str = "null-gate", *, light: str = "null-small", heavy: str = "null-large") -> None:
        self.spec = GateSpec(name=name, light=light, heavy=heavy, seconds=1e-5)
        self.calls: list[tuple[Pixels, ...]] = []

    def score(self, pictures: Sequence[Pixels], prompts: Sequence[str]) -> list[float]:
        self.calls.append(tuple(pictures))
        if any("no score" in prompt for prompt in prompts):
            raise RuntimeError("nothing to see")
        return [_score_in(prompt) for prompt in prompts]


def _score_in(prompt: str) -> float:
    try:
        return float(prompt.rsplit(maxsplit=1)[-1])
    except ValueError:
        return UNSAID
