"""Every number of the training of the embedded adapters."""

from dataclasses import dataclass

from safelight.diffusion.embedded import LORAS, EmbeddedLora
from safelight.diffusion.training.fit import TrainingConfig
from safelight.shapes.controls import CONTROLS


@dataclass(frozen=True, kw_only=True)
class AdapterRecipe:
    """Which adapters, how much, how long and how fast; the names of the two courses stand for the adapters'."""

    loras: tuple[EmbeddedLora, ...] = LORAS
    lora: TrainingConfig = TrainingConfig(
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
    control: TrainingConfig = TrainingConfig(
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
