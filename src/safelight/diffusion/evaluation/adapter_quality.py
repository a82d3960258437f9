"""What the embedded adapters do to pictures: the table of `safelight score adapters`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from safelight.diffusion.embedded import LARGE, LORAS, EmbeddedLora
from safelight.diffusion.evaluation.adapter_painter import DiffusersPainter, Painter
from safelight.shapes.caption import caption_of, parse
from safelight.shapes.controls import CONTROLS, centre_distance
from safelight.shapes.sampling import draw_scene, held_out_captions
from safelight.shapes.score import score
from safelight.shapes.styles import STYLES

PROMPTS = 40
SEED = 30_000

Progress = Callable[[int, int], None]
"""Called with (adapters measured, adapters in all)."""


class WithAndWithout(msgspec.Struct, frozen=True, kw_only=True, rename={"with_it": "with"}):
    """A mean over pictures, painted with an adapter and without."""

    with_it: float
    without: float


class StyleEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What a style LoRA does to its style's measure, and to the share of facts that hold."""

    style: WithAndWithout
    facts: WithAndWithout


class AdapterEffects(msgspec.Struct, frozen=True, kw_only=True):
    """By adapter: the effect of each LoRA, and for each ControlNet the pixels that objects are misplaced by."""

    loras: dict[str, StyleEffect]
    controlnets: dict[str, WithAndWithout]


def score_adapters(
    models: Path, adapters: Path, *, prompts: int = PROMPTS, on_adapter: Progress, names: Sequence[str] = ()
) -> AdapterEffects:
    """Paint held-out captions with each adapter in folder `adapters` and without; `names` picks some of them."""
    wanted = [lora for lora in LORAS if lora.path(adapters).exists() and (not names or lora.name in names)]
    kinds = [kind for kind in CONTROLS if (adapters / kind).exists() and (not names or kind in names)]
    loras, controlnets, plain = {}, {}, {}
    for lora in wanted:
        if lora.model not in plain:
            plain[lora.model] = _paint_captions(DiffusersPainter(models / lora.model), prompts)
        painter = DiffusersPainter(models / lora.model, lora=lora.path(adapters))
        loras[lora.name] = _style_effect(lora, _paint_captions(painter, prompts), plain[lora.model])
        on_adapter(len(loras), len(wanted) + len(kinds))
    for kind in kinds:
        with_it = DiffusersPainter(models / LARGE, controlnet=adapters / kind)
        controlnets[kind] = _misplaced(kind, with_it, DiffusersPainter(models / LARGE), prompts)
        on_adapter(len(wanted) + len(controlnets), len(wanted) + len(kinds))
    return AdapterEffects(loras=loras, controlnets=controlnets)


def _captions(count: int) -> list[str]:
    rng = np.random.default_rng(SEED)
    ones = held_out_captions(rng, objects=1, count=count // 2)
    return ones + held_out_captions(rng, objects=2, count=count - len(ones))


def _paint_captions(painter: Painter, count: int) -> list[NDArray[np.uint8]]:
    return painter.paint(_captions(count), seed=SEED)


def _style_effect(
    lora: EmbeddedLora, styled: Sequence[NDArray[np.uint8]], plain: Sequence[NDArray[np.uint8]]
) -> StyleEffect:
    measure = next(style.measure for style in STYLES if style.name == lora.style)
    descriptions = [parse(caption) for caption in _captions(len(styled))]

    def facts(pictures: Sequence[NDArray[np.uint8]]) -> float:
        return float(np.mean([score(*pair).share for pair in zip(pictures, descriptions, strict=True)]))

    return StyleEffect(
        style=WithAndWithout(with_it=_mean(measure, styled), without=_mean(measure, plain)),
        facts=WithAndWithout(with_it=facts(styled), without=facts(plain)),
    )


def _mean(measure: Callable[[NDArray[np.uint8]], float], pictures: Sequence[NDArray[np.uint8]]) -> float:
    return float(np.mean([measure(picture) for picture in pictures]))


def _misplaced(kind: str, with_it: Painter, without: Painter, count: int) -> WithAndWithout:
    rng = np.random.default_rng(SEED)
    scenes = [draw_scene(rng, objects=1 + number % 2) for number in range(count)]
    controls = [CONTROLS[kind](scene) for scene in scenes]
    captions = [caption_of(scene.description) for scene in scenes]

    def distance(pictures: Sequence[NDArray[np.uint8]]) -> float:
        return float(np.mean([centre_distance(*pair) for pair in zip(controls, pictures, strict=True)]))

    return WithAndWithout(
        with_it=distance(with_it.paint(captions, seed=SEED, controls=controls)),
        without=distance(without.paint(captions, seed=SEED)),
    )
