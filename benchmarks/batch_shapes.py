"""What would make a row's numbers independent of its batch, and what each way costs, on one thread.

| way | calls of the denoiser |
| --- | --- |
| `apart` | one for each picture: what `--deterministic` does |
| `padded` | one, filled up to 16 pictures |
| `chunks` | of 4 pictures each, the last one filled up |
| `rowwise` | one, in which each linear layer and convolution computes its rows one by one |

A cost is the seconds of processor time of a step, relative to one call for all pictures. `equal` is the share of rows
whose bits stay the same wherever they are in the call, and whatever is in the other rows.
"""

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import safelight
from safelight.diffusion.families.family import Family
from safelight.diffusion.families.registry import family_of
from safelight.diffusion.placement import ON_CPU

MODELS = Path(safelight.__file__).parent / "models"
AT_ONCE = (1, 4, 16)
CHUNK = 4
"""Pictures."""

REPEATS = 5
PROMPTS = ("a large red circle on a white background", "a small blue star above a green heart", "a pink cross", "")


class Rows:
    """Denoiser rows of one model, all unlike."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self.of_a_picture = 2 if family.guidance == "classifier-free" else 1
        count = max(AT_ONCE) * self.of_a_picture
        draw = torch.Generator().manual_seed(0)
        self._latents = torch.randn(count, *family.latent_shape(*family.native_size), generator=draw)
        self._times = torch.rand(count, generator=draw)
        self._texts = family.encode(PROMPTS)

    def denoise(self, *rows: int) -> Tensor:
        """Return the predictions for these rows, in one call."""
        chosen = list(rows)
        texts = [self._texts[row % len(self._texts)] for row in chosen]
        return self._family.denoise(self._latents[chosen], self._times[chosen], texts, torch.full((len(rows),), 3.0))

    def call(self, pictures: int) -> Callable[[], object]:
        """Return a call over the rows of so many pictures."""
        return partial(self.denoise, *range(pictures * self.of_a_picture))

    def equal_share(self, size: int) -> float:
        """Return the share of rows that are the same at the first and at the last place of calls of `size` rows."""
        size = max(size, 2)
        total = len(self._latents)
        equal = 0
        for row in range(total):
            others = [(row + 1 + number) % total for number in range(2 * (size - 1))]
            first, last = self.denoise(row, *others[: size - 1]), self.denoise(*others[size - 1 :], row)
            equal += torch.equal(first[0], last[-1])
        return equal / total

    def equal_to_alone_share(self) -> float:
        """Return the share of rows that are the same in one large call and alone."""
        together = self.denoise(*range(len(self._latents)))
        return sum(torch.equal(self.denoise(row)[0], one) for row, one in enumerate(together)) / len(together)


@contextmanager
def rowwise(network: nn.Module) -> Iterator[None]:
    """Within this, linear layers and convolutions compute row by row."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        layer.forward = partial(_by_rows, layer.forward)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _by_rows(forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    return torch.cat([forward(row.contiguous()) for row in inputs.split(1)])


def seconds_of(work: Callable[[], object]) -> float:
    """Return the least processor time of some repetitions."""
    work()
    taken = []
    for _ in range(REPEATS):
        started_s = time.process_time()
        work()
        taken.append(time.process_time() - started_s)
    return min(taken)


def measure(model: str) -> Mapping[str, float]:
    """Return costs and shares of one shipped model."""
    family = family_of(MODELS / model).load(MODELS / model, placement=ON_CPU)
    rows = Rows(family)
    together = {count: seconds_of(rows.call(count)) for count in {*AT_ONCE, CHUNK}}
    found: dict[str, float] = {}
    for count in AT_ONCE:
        found[f"apart_cost_{count}"] = count * together[1] / together[count]
        found[f"padded_cost_{count}"] = together[max(AT_ONCE)] / together[count]
        found[f"chunks_cost_{count}"] = -(-count // CHUNK) * together[CHUNK] / together[count]
        with rowwise(family.denoiser.network):
            found[f"rowwise_cost_{count}"] = seconds_of(rows.call(count)) / together[count]
    found["default_equal"] = rows.equal_to_alone_share()
    found["padded_equal"] = rows.equal_share(max(AT_ONCE) * rows.of_a_picture)
    found["chunks_equal"] = rows.equal_share(CHUNK * rows.of_a_picture)
    found["pairs_equal"] = rows.equal_share(2)
    with rowwise(family.denoiser.network):
        found["rowwise_equal"] = rows.equal_to_alone_share()
    return {f"{model}_{name}": value for name, value in found.items()}


def main() -> None:
    """Print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--model", nargs="+", default=["shapes-large", "shapes-small"], help="shipped models")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with torch.inference_mode():
        metrics = {name: value for model in arguments.model for name, value in measure(model).items()}
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        for name, value in metrics.items():
            print(f"{name:32} {value:8.3f}")


if __name__ == "__main__":
    main()
