"""Every number of the training of the embedded adapters."""

from dataclasses import dataclass
from pathlib import Path

from safelight.diffusion.quality import LARGE, SMALL
from safelight.diffusion.training.fit import Course
from safelight.shapes.controls import CONTROLS


@dataclass(frozen=True, kw_only=True)
class LoraPlan:
    """One LoRA: which style it teaches to which model, and how it is kept.

    A model that needs no guidance forgets so if it learns from pictures: it learns from a `teacher`, another LoRA.
    What follows the edges of objects, and what a small model learns, takes so many times `longer`, in scenes and in
    batches. What costs too many facts is kept at less than its full `strength`, which is alpha over rank.
    """

    name: str
    style: str
    rank: int
    model: str = LARGE
    teacher: str | None = None
    longer: int = 1
    strength: float = 1.0
    with_text: bool = False
    as_kohya: bool = False

    def path(self, folder: Path) -> Path:
        """Return where in `folder` the LoRA is kept."""
        return folder / (f"{self.name}.safetensors" if self.as_kohya else self.name)


LORAS = (
    LoraPlan(name="outline", style="outline", rank=16, longer=4, strength=0.875),
    LoraPlan(name="pastel", style="pastel", rank=8),
    LoraPlan(name="night", style="night", rank=8, with_text=True),
    LoraPlan(name="rose", style="rose", rank=4),
    LoraPlan(name="mint", style="mint", rank=4, as_kohya=True),
    LoraPlan(name="sunset", style="sunset", rank=8),
    LoraPlan(name="spotlight", style="spotlight", rank=8),
    LoraPlan(name="neon", style="neon", rank=16, longer=2, strength=0.9375),
    LoraPlan(name="pastel-small", style="pastel", rank=8, model=SMALL, teacher="pastel", longer=3, strength=0.75),
)


@dataclass(frozen=True, kw_only=True)
class AdapterRecipe:
    """Which adapters, how much, how long and how fast; the names of the two courses stand for the adapters'."""

    loras: tuple[LoraPlan, ...] = LORAS
    lora: Course = Course(
        name="lora", steps=150, learning_rate=2.5e-3, warmup_steps=10, weight_decay=0.0, checkpoint_every=50, seed=11
    )
    lora_scenes: int = 320
    sharpen_start: float = 1.1
    sharpen_steps: int = 6
    sharpen_rate: float = 0.1
    sharpen_edge_weight: float = 10.0
    lora_batch: int = 24
    teacher_guidance: float = 3.0
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
