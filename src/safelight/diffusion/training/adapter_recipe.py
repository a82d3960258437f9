"""Every number of the training of the embedded adapters."""

from dataclasses import dataclass

from safelight.diffusion.quality import LARGE, SMALL
from safelight.diffusion.training.fit import Course
from safelight.shapes.controls import CONTROLS


@dataclass(frozen=True, kw_only=True)
class LoraPlan:
    """One LoRA: which style it teaches to which model, and how it is kept."""

    name: str
    style: str
    rank: int
    model: str = LARGE
    with_text: bool = False
    as_kohya: bool = False


LORAS = (
    LoraPlan(name="outline", style="outline", rank=16),
    LoraPlan(name="pastel", style="pastel", rank=8),
    LoraPlan(name="night", style="night", rank=8, with_text=True),
    LoraPlan(name="sepia", style="sepia", rank=4),
    LoraPlan(name="rose", style="rose", rank=4),
    LoraPlan(name="mint", style="mint", rank=4, as_kohya=True),
    LoraPlan(name="sunset", style="sunset", rank=16),
    LoraPlan(name="corners", style="corners", rank=16),
    LoraPlan(name="pastel-small", style="pastel", rank=8, model=SMALL),
)


@dataclass(frozen=True, kw_only=True)
class AdapterRecipe:
    """Which adapters, how much, how long and how fast; the names of the two courses stand for the adapters'."""

    loras: tuple[LoraPlan, ...] = LORAS
    lora: Course = Course(
        name="lora", steps=120, learning_rate=2e-3, warmup_steps=10, weight_decay=0.0, checkpoint_every=50, seed=11
    )
    lora_scenes: int = 768
    lora_batch: int = 24
    controls: tuple[str, ...] = tuple(CONTROLS)
    control: Course = Course(
        name="control",
        steps=600,
        matrix_learning_rate=4e-3,
        warmup_steps=30,
        decay_steps=300,
        checkpoint_every=100,
        seed=12,
    )
    control_layers: int = 2
    control_scenes: int = 3_072
    control_batch: int = 32
    one_object_share: float = 0.4
    caption_dropout: float = 0.1
    sheet_columns: int = 8
    threads: int = 1
