"""Options of `safelight serve` about the reuse of earlier pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from safelight.latents.limits import MAX_USES, TTL_S, ReuseLimits
from safelight.latents.predictor import FixedThresholds, LevelPredictor
from safelight.local.model_folders import shipped_level_files
from safelight.service.reuse.settings import DISK_BYTES, RAM_BYTES, TENANTS_WITH_KEYS, ReuseMode, ReuseSettings

_PANEL = "Reuse"


@dataclass(frozen=True, kw_only=True)
class ReuseOptions:
    """Which earlier pictures may serve requests, how many are kept, and for how long."""

    reuse: Annotated[
        ReuseMode,
        typer.Option(
            rich_help_panel=_PANEL,
            help="Let requests that ask for it reuse earlier pictures: private keeps those of each key's tenant apart, "
            "shared lets requests ask for a common pool too.",
        ),
    ] = "off"
    prompt_cache_bytes: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=_PANEL,
            help="Bytes of encoded prompts that each worker keeps on its device; 0 keeps none.",
        ),
    ] = 64 << 20
    level_predictor: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_PANEL,
            help="What decides how deep a picture of its model may start; repeatable.",
            show_default="the shipped ones; published thresholds for other models",
        ),
    ] = None
    reuse_ram_bytes: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Bytes of earlier pictures in memory.")
    ] = RAM_BYTES
    reuse_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", rich_help_panel=_PANEL, help="Keep earlier pictures in this folder too."),
    ] = None
    reuse_disk_bytes: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Bytes of earlier pictures in that folder.")
    ] = DISK_BYTES
    reuse_ttl_s: Annotated[
        float, typer.Option(min=1, metavar="S", rich_help_panel=_PANEL, help="Seconds until an earlier picture goes.")
    ] = TTL_S
    reuse_max_uses: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Pictures that may start from one.")
    ] = MAX_USES
    reuse_tenants: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=_PANEL,
            help="With --keys: tenants that get an equal part of the bytes each; further ones reuse nothing.",
        ),
    ] = TENANTS_WITH_KEYS

    @property
    def worker_options(self) -> tuple[str, ...]:
        """Options of worker processes."""
        return ("--prompt-cache-bytes", str(self.prompt_cache_bytes))

    def settings(self, *, has_keys: bool) -> ReuseSettings:
        """Return the settings of a server, whose keys may name several tenants."""
        limits = ReuseLimits(
            max_bytes=self.reuse_ram_bytes if self.reuse_dir is None else self.reuse_disk_bytes,
            tenants=self.reuse_tenants if has_keys else 1,
            ttl_s=self.reuse_ttl_s,
            max_uses=self.reuse_max_uses,
        )
        return ReuseSettings(
            mode=self.reuse,
            ram_bytes=self.reuse_ram_bytes,
            folder=self.reuse_dir,
            limits=limits,
            predictor=self._predictor() if self.reuse != "off" else FixedThresholds(),
        )

    def _predictor(self) -> LevelPredictor:
        """Return what was learned of models; raises LevelFileError."""
        from safelight.latents.learned import LearnedLevels, ModelLevels
        from safelight.profiles.level_file import read_levels

        files = [read_levels(path) for path in (*shipped_level_files(), *(self.level_predictor or ()))]
        return LearnedLevels(models={file.card.model: ModelLevels.of(file) for file in files})
