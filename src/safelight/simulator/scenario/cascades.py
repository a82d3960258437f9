"""`[[cascades]]`: a light model, a heavy one, and how often a gate between them escalates."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from safelight.cascade.cascade import LINEAR, THRESHOLD, Cascade
from safelight.cascade.router import Router
from safelight.core.errors import GateFileError, nearest
from safelight.core.job import Job
from safelight.core.request import ImageRequest
from safelight.profiles.gate_file import GateCard, GateFile, read_gate
from safelight.profiles.profile import Profile
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Name, Share

Deferral = tuple[tuple[Share, Share], ...]
MixQuality = tuple[tuple[Share, float], ...]

HASH_BYTES = 7

SHIPPED: Final = Path(str(files("safelight"))) / "models" / "gates"
ENDING: Final = ".safetensors"


class CascadeEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cascade, which requests name in place of a model.

    Attributes:
        name: unlike that of any model.
        light, heavy: names of models.
        deferral: pairs of a threshold and the share of light pictures that score below it; both rise. None is that of
            the light model's profile.
        threshold: of the gate where no policy chooses another one.
        best_share: escalating a larger share makes no better pictures.
        gate: a gate's file, relative to the scenario, or the name of a shipped one: its deferral and its router are the
            cascade's. The router reads the prompts of the workload.
        mix_quality: pairs of the share of pictures that are of the light model, and the quality of such a mix; None is
            that of the light model's profile.
    """

    name: Name
    light: Name
    heavy: Name
    deferral: Deferral | None = None
    threshold: Share = THRESHOLD
    best_share: Share = 1.0
    gate: str | None = None
    mix_quality: MixQuality | None = None

    def read_gate(self, folder: Path | None, place: str) -> GateFile | None:
        """Return the gate of `gate`, whose path is relative to `folder`; raises BadScenario if it cannot be used."""
        if self.gate is None:
            return None
        shipped = {file.name.removesuffix(ENDING): file for file in SHIPPED.glob(f"*{ENDING}")}
        try:
            read = read_gate(shipped.get(self.gate, (folder or Path()) / self.gate))
        except GateFileError as error:
            hint = "" if self.gate.endswith(ENDING) else f" {nearest(self.gate, tuple(shipped))}"
            raise BadScenario(f": {error}{hint}", place=f"{place}.gate") from error
        if (read.card.light, read.card.heavy) != (self.light, self.heavy):
            raise BadScenario(
                f"is for {read.card.light!r} and {read.card.heavy!r}, and this cascade has {self.light!r} and "
                f"{self.heavy!r}; name the models so.",
                place=f"{place}.gate",
            )
        return read

    def with_profile(self, light: Profile, card: GateCard | None = None) -> "CascadeEntry":
        """Return it with the curves of its gate and of the light model's profile where it has none of its own."""
        return msgspec.structs.replace(
            self,
            deferral=self.deferral or (light.deferral if card is None else card.deferral) or None,
            best_share=self.best_share if card is None else min(self.best_share, card.best_share),
            mix_quality=light.mix_quality if self.mix_quality is None else self.mix_quality,
        )

    def cascade(self, router: Router | None = None) -> Cascade:
        """Return it for the controller; raises ValueError for a deferral curve that falls."""
        return Cascade(
            name=self.name,
            light=self.light,
            heavy=self.heavy,
            deferral=LINEAR if self.deferral is None else self.deferral,
            threshold=self.threshold,
            best_share=self.best_share,
            gate=self.name,
            router=router,
        )

    @property
    def tells_pictures_apart(self) -> bool:
        """Whether the mix is known from heavy pictures only to light ones only, so that each picture's gain is."""
        known = self.mix_quality or ()
        return len(known) > 1 and (known[0][0], known[-1][0]) == (0.0, 1.0)

    def gain_of(self, request: ImageRequest, model: str, *, seed: int) -> float:
        """Return by how much a picture is better than the mean of its model.

        The gate accepts the pictures with the highest scores first, so the slope of `mix_quality` at the share of
        pictures that score higher is what this light picture adds. The mean over all pictures is 0.
        """
        known = self.mix_quality
        if model != self.light or not known:
            return 0.0
        share = 1 - _quantile(request, seed)
        slope = next(
            ((after - before) / (high - low) for (low, before), (high, after) in pairwise(known) if share <= high), 0.0
        )
        return slope - (known[-1][1] - known[0][1])

    def quality_of_mix(self, models: Mapping[str, int]) -> float | None:
        """Return the quality of a mix of pictures, by numbers of pictures of each model; None if it is not known."""
        light, heavy, known = models.get(self.light, 0), models.get(self.heavy, 0), self.mix_quality
        if not known or light + heavy == 0:
            return None
        share = light / (light + heavy)
        if not known[0][0] <= share <= known[-1][0]:
            return None
        shares, qualities = zip(*known, strict=True)
        return float(np.interp(share, shares, qualities))


def check_cascades(cascades: Sequence[CascadeEntry], models: Sequence[str]) -> None:
    """Raise BadScenario for cascades of models that do not exist, and for curves that fall or go back."""
    for number, entry in enumerate(cascades):
        place = f"cascades[{number}]"
        if entry.name in models:
            raise BadScenario(f"is {entry.name!r}, which is a model; choose another name.", place=f"{place}.name")
        for key in ("light", "heavy"):
            if (name := getattr(entry, key)) not in models:
                raise BadScenario(f"is {name!r}; {nearest(name, models)}", place=f"{place}.{key}")
        try:
            entry.cascade()
        except ValueError as error:
            raise BadScenario(f": {error}.", place=f"{place}.deferral") from error
        shares = [share for share, _ in entry.mix_quality or ()]
        if shares != sorted(set(shares)):
            raise BadScenario("goes back; its shares must rise.", place=f"{place}.mix_quality")


def scorer_of(cascades: Sequence[CascadeEntry], *, seed: int) -> Callable[[Job], float | None] | None:
    """Return what scores pictures: equal prompts get equal scores, distributed as the deferral curve says.

    Args:
        cascades: of the scenario; without any, nothing is scored.
        seed: another one makes other prompts difficult.
    """
    known = {entry.name: entry.cascade() for entry in cascades}
    if not known:
        return None
    first = next(iter(known.values()))

    def score(job: Job) -> float | None:
        cascade = first if job.request.model is None else known.get(job.request.model)
        if cascade is None or job.level.model != cascade.light:
            return None
        return cascade.score(_quantile(job.request, seed))

    return score


def _quantile(request: ImageRequest, seed: int) -> float:
    """Return a pseudo-random number from 0 up to 1."""
    text = f"{seed} {request.prompt or request.id}"
    digest = hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest) / float(1 << 8 * HASH_BYTES)
