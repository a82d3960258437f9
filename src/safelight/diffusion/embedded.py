"""The embedded models and LoRAs: their names, and what each LoRA is for."""

from dataclasses import dataclass
from pathlib import Path

LARGE, SMALL = "shapes-large", "shapes-small"


@dataclass(frozen=True, kw_only=True)
class EmbeddedLora:
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
    EmbeddedLora(name="outline", style="outline", rank=16, longer=4, strength=0.875),
    EmbeddedLora(name="pastel", style="pastel", rank=8),
    EmbeddedLora(name="night", style="night", rank=8, with_text=True),
    EmbeddedLora(name="rose", style="rose", rank=4),
    EmbeddedLora(name="mint", style="mint", rank=4, as_kohya=True),
    EmbeddedLora(name="sunset", style="sunset", rank=8),
    EmbeddedLora(name="spotlight", style="spotlight", rank=8),
    EmbeddedLora(name="neon", style="neon", rank=16, longer=2, strength=0.9375),
    EmbeddedLora(name="pastel-small", style="pastel", rank=8, model=SMALL, teacher="pastel", longer=3, strength=0.75),
)
