"""A gate that scores finished pictures."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from safelight.core.errors import GateFileError
from safelight.core.model import GateSpec
from safelight.core.pixels import Pixels
from safelight.diffusion.gates.gate_file import GateCard, GateFile, read_gate
from safelight.diffusion.gates.net import SIDE, GateNet, word_numbers

MEASURED_CALLS = 5


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
        signals = torch.cat([signal_of(picture) for picture in pictures])
        return self.score_signals(signals, prompts).tolist()

    @torch.inference_mode()
    def score_signals(self, signals: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return the probabilities, `(n,)`, for pictures as `signal_of` makes them, `(n, 3, SIDE, SIDE)`."""
        logits = self._net(signals, word_numbers(prompts))
        return torch.sigmoid(self._card.slope * logits + self._card.intercept)

    def _measured_s(self) -> float:
        """Return the seconds of scoring one picture."""
        signals, prompts = torch.zeros(1, 3, SIDE, SIDE), ["a large red circle on a white background"]
        seconds = []
        for _ in range(MEASURED_CALLS):
            began_s = time.perf_counter()
            torch.sigmoid(self._net(signals, word_numbers(prompts)))
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


def signal_of(picture: Pixels) -> Tensor:
    """Return a picture, `(1, 3, SIDE, SIDE)` in [-1, 1], its sides resized by the mean of areas."""
    pixels = torch.frombuffer(bytearray(picture.rgb), dtype=torch.uint8)
    signal = pixels.reshape(1, picture.height, picture.width, 3).permute(0, 3, 1, 2).float() / 127.5 - 1
    if (picture.height, picture.width) != (SIDE, SIDE):
        signal = functional.adaptive_avg_pool2d(signal, SIDE)
    return signal
