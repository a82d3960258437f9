"""A gate that scores finished pictures."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from safelight.core.errors import GateFileError
from safelight.core.model import GateSpec
from safelight.core.pixels import Pixels
from safelight.diffusion.gates.net import SIDE, GateNet, logits_of
from safelight.profiles.gate_file import GateCard, GateFile, read_gate

MEASURED_CALLS = 5
MEASURED_PROMPT = "a large red circle left of a small blue star on a white background"


class NetGate:
    """Scores pictures by a small network, calibrated.

    Attributes:
        spec: what the controller knows about it.
    """

    def __init__(self, gate: GateFile) -> None:
        self._card = gate.card
        self._net = GateNet()
        self._net.load_state_dict({name: torch.from_numpy(array).float() for name, array in gate.net.items()})
        self._net.eval()
        self.spec = spec_of(gate.card, seconds=self._measured_s())

    def score(self, pictures: Sequence[Pixels], prompts: Sequence[str]) -> list[float]:
        """Return the calibrated probability that each picture is good enough for its prompt."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for number, picture in enumerate(pictures):
            by_size.setdefault((picture.height, picture.width), []).append(number)
        scores = [0.0] * len(pictures)
        for (height, width), own in by_size.items():
            pixels = torch.frombuffer(bytearray(b"".join(pictures[each].rgb for each in own)), dtype=torch.uint8)
            found = self.scores_of(pixels.view(len(own), height, width, 3), [prompts[each] for each in own])
            for number, score in zip(own, found.tolist(), strict=True):
                scores[number] = score
        return scores

    def scores_of(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return the same for pictures of one size, `(n, height, width, 3)` in bytes."""
        return torch.sigmoid(self._card.slope * logits_of(self._net, pictures, prompts) + self._card.intercept)

    def _measured_s(self) -> float:
        """Return the seconds of scoring one picture."""
        pictures, prompts = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8), [MEASURED_PROMPT]
        seconds = []
        for _ in range(MEASURED_CALLS):
            began_s = time.perf_counter()
            self.scores_of(pictures, prompts)
            seconds.append(time.perf_counter() - began_s)
        return min(seconds)


def load_gate(path: Path, weights: Mapping[str, str]) -> NetGate:
    """Load a gate for models whose fingerprints, by name, are `weights`.

    Raises:
        GateFileError: if the file is no gate, or was made for other weights or models.
    """
    gate = read_gate(path)
    for model, made_for in ((gate.card.light, gate.card.light_weights), (gate.card.heavy, gate.card.heavy_weights)):
        if model not in weights:
            raise GateFileError(path, f"it is for {model!r}, which is not served; add --model {model}")
        if weights[model] != made_for:
            raise GateFileError(
                path, f"it was trained for other weights of {model!r}; train one with `safelight train gate`"
            )
    try:
        return NetGate(gate)
    except (RuntimeError, ValueError) as error:
        raise GateFileError(path, f"its network does not fit ({error})") from error


def spec_of(card: GateCard, *, seconds: float = 0.0) -> GateSpec:
    """Return what the controller knows about a gate."""
    return GateSpec(
        name=card.name,
        light=card.light,
        heavy=card.heavy,
        deferral=card.deferral,
        best_share=card.best_share,
        seconds=seconds,
    )
