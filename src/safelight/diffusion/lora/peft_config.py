"""How PEFT stores what its factors are scaled by: `adapter_config.json`, or the same inside a diffusers file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from safelight.core.errors import AdapterFileError, shorten
from safelight.diffusion.lora.patterns import Patterns

CONFIG = "adapter_config.json"
LARGEST_CONFIG_BYTES = 1 << 20
CHANGES_MORE = {
    "use_dora": "DoRA also rescales whole weights",
    "modules_to_save": "it replaces whole modules",
    "lora_bias": "it changes biases",
    "trainable_token_indices": "it changes embeddings",
    "target_parameters": "it changes parameters that are no layers",
    "layer_replication": "it repeats layers of the model",
    "use_qalora": "QALoRA pools the inputs",
    "alora_invocation_tokens": "aLoRA acts after certain tokens only",
    "arrow_config": "Arrow mixes several adapters",
    "kasa_config": "KaSA has a third factor",
    "monteclora_config": "MonteCLoRA draws its factors at random",
    "use_bdlora": "BD-LoRA is made of blocks",
}
PRISTINE_STARTS = (None, True, False, "gaussian", "eva", "orthogonal", "mica")
"""Ways to start training that leave the base model's own weights as they were."""


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that matter to plain LoRA, with PEFT's defaults."""

    r: Annotated[int, msgspec.Meta(ge=1)] = 8
    lora_alpha: float = 8
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None
    use_rslora: bool = False


class PeftConfig:
    """Rank and alpha of each module."""

    def __init__(self, values: Mapping[str, Any], *, file: Path) -> None:
        """Take PEFT's settings.

        Raises:
            AdapterFileError: if they are not those of a plain LoRA.
        """
        _check_plain(values, file)
        try:
            config = msgspec.convert(values, _Config)
            self._ranks = Patterns(config.rank_pattern or {})
            self._alphas = Patterns(config.alpha_pattern or {})
        except ValueError as error:
            raise AdapterFileError(f"The LoRA settings in {str(file)!r} are wrong: {error}.") from None
        self._config = config

    @property
    def is_rank_stabilised(self) -> bool:
        """Whether alpha is over the square root of the rank."""
        return self._config.use_rslora

    def rank(self, module: str) -> int:
        """Return the rank that the factors of a module must have."""
        found = self._ranks.find(module)
        return self._config.r if found is None else int(found)

    def alpha(self, module: str) -> float:
        """Return what the product of a module's factors is scaled by, over the rank."""
        found = self._alphas.find(module)
        return self._config.lora_alpha if found is None else found


def read_config(file: Path) -> PeftConfig:
    """Read an `adapter_config.json`.

    Raises:
        AdapterFileError: if it is broken, huge, or not that of a plain LoRA.
    """
    try:
        if file.stat().st_size > LARGEST_CONFIG_BYTES:
            raise AdapterFileError(f"{str(file)!r} is larger than {LARGEST_CONFIG_BYTES} bytes; that is no config.")
        raw = file.read_bytes()
    except OSError as error:
        raise AdapterFileError(f"{str(file)!r} cannot be read: {error}.") from None
    return PeftConfig(parse_object(raw, file=file), file=file)


def parse_object(raw: bytes | str, *, file: Path) -> dict[str, Any]:
    """Return the JSON object in a text that comes from `file`.

    Raises:
        AdapterFileError: if there is none.
    """
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise AdapterFileError(
            f"The LoRA settings in {str(file)!r} cannot be read as a JSON object: {error}."
        ) from None


def _check_plain(values: Mapping[str, Any], file: Path) -> None:
    kind = values.get("peft_type") or "LORA"
    if kind != "LORA":
        raise AdapterFileError(f"{str(file)!r} is of the kind {shorten(kind)}; Safelight serves plain LoRA.")
    for field, why in CHANGES_MORE.items():
        if values.get(field):
            raise AdapterFileError(
                f"{str(file)!r} has {field}={shorten(values[field])}: {why}, and Safelight serves plain LoRA."
            )
    if values.get("bias", "none") != "none":
        raise AdapterFileError(f"{str(file)!r} has bias={shorten(values['bias'])}; Safelight changes no biases.")
    start = values.get("init_lora_weights")
    if start not in PRISTINE_STARTS:
        raise AdapterFileError(
            f"{str(file)!r} started from {shorten(start)}, which also changed the base model; convert it to plain LoRA "
            "with PEFT's `save_pretrained(..., path_initial_model_for_weight_conversion=...)`."
        )
