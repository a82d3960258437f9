"""`[[cascades]]`: a light model, a heavy one, and how often a gate between them escalates."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import msgspec

from safelight.cascade.cascade import THRESHOLD, Cascade
from safelight.core.errors import nearest
from safelight.core.job import Job
from safelight.core.request import ImageRequest
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Factor, Name, Share

Deferral = tuple[tuple[Share, Share], ...]
FidByShare = tuple[tuple[Share, Factor], ...]

HASH_BYTES = 7


class CascadeEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cascade, which requests name in place of a model.

    Attributes:
        name: unlike that of any model.
        light, heavy: names of models.
        deferral: pairs of a threshold and the share of light pictures that score below it; both rise.
        threshold: of the gate where no policy chooses another one.
        best_share: escalating a larger share makes no better pictures.
        fid_by_share: pairs of the share of pictures that are of the heavy model, and the Fréchet inception distance of
            such a mix.
    """

    name: Name
    light: Name
    heavy: Name
    deferral: Deferral
    threshold: Share = THRESHOLD
    best_share: Share = 1.0
    fid_by_share: FidByShare = ()

    def cascade(self) -> Cascade:
        """Return it for the controller; raises ValueError for a deferral curve that falls."""
        return Cascade(
            name=self.name,
            light=self.light,
            heavy=self.heavy,
            deferral=self.deferral,
            threshold=self.threshold,
            best_share=self.best_share,
        )

    def fid(self, models: Mapping[str, int]) -> float | None:
        """Return the distance of a mix of pictures, by numbers of pictures of each model; None if it is not known."""
        light, heavy = models.get(self.light, 0), models.get(self.heavy, 0)
        if not self.fid_by_share or light + heavy == 0:
            return None
        share = heavy / (light + heavy)
        right = bisect_right(self.fid_by_share, (share, float("inf")))
        if right in {0, len(self.fid_by_share)}:
            last = self.fid_by_share[right - 1 if right else 0]
            return last[1] if last[0] == share else None
        (low, before), (high, after) = self.fid_by_share[right - 1 : right + 1]
        return before + (after - before) * (share - low) / (high - low)


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
        shares = [share for share, _ in entry.fid_by_share]
        if shares != sorted(set(shares)):
            raise BadScenario("goes back; its shares must rise.", place=f"{place}.fid_by_share")


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
