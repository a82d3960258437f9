"""Every number of the training of the embedded models."""

from dataclasses import dataclass

from safelight.diffusion.training.fit import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How much, how long and how fast."""

    scenes: int = 48_000
    autoencoder: TrainingConfig = TrainingConfig(name="autoencoder", steps=4_000, learning_rate=1.5e-3, warmup_steps=50)
    autoencoder_cropped: float = 0.75
    detail: TrainingConfig = TrainingConfig(name="detail", steps=2_400, warmup_steps=50, seed=3)
    detail_weight: float = 6.0
    varied_share: float = 0.25
    decoder: TrainingConfig = TrainingConfig(
        name="decoder", steps=3_000, learning_rate=1e-3, warmup_steps=50, decay_steps=1_500, average_decay=0.998, seed=4
    )
    decoder_detail_weight: float = 12.0
    decoder_noise: float = 0.05
    crops: int = 32
    whole_pictures: int = 16
    divergence_weight: float = 1e-4
    large: TrainingConfig = TrainingConfig(name="large", steps=5_500, warmup_steps=100, decay_steps=2_000, seed=1)
    small: TrainingConfig = TrainingConfig(name="small", steps=6_000, warmup_steps=100, decay_steps=1_000, seed=2)
    distilled: TrainingConfig = TrainingConfig(name="distilled", steps=1_700, warmup_steps=50, decay_steps=900, seed=5)
    distilled_guidance: float = 3.0
    batch: int = 64
    one_object_share: float = 0.5
    caption_dropout: float = 0.1
    threads: int = 2
