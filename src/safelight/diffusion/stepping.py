"""One step of rows of one model: the prediction of the denoiser, and where each row goes from there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from safelight.diffusion.controlnets.batch import controlnet_residuals
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.loading import LoadedModel
from safelight.diffusion.rows import Row, before, levels_after, levels_now
from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.registry import samplers_by_name


def advance(model: LoadedModel, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Return the latents of `rows` after their next step, and the estimates of that step; the rows stay as they are."""
    latents = torch.stack([row.latent for row in rows])
    now = levels_now(rows)
    x0 = model.family.estimate_x0(latents, _predicted(model, rows, latents), now.alpha, now.sigma)
    return _keep(rows, _walk(rows, latents, x0, now)), x0


def by_size(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Return the rows of each size, in order."""
    groups: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.latent.shape), []).append(row)
    return list(groups.values())


def advance_mixed(model: LoadedModel, groups: Sequence[Sequence[Row]]) -> list[tuple[Tensor, Tensor]]:
    """Return what `advance` does for the rows of each size, whose predictions come of one call."""
    batches = [_Batch.of(rows, torch.stack([row.latent for row in rows])) for rows in groups]
    predictions = model.family.denoise_mixed(
        [batch.noisy.to(model.placement.dtype) for batch in batches],
        torch.cat([batch.times for batch in batches]),
        [conditioning for batch in batches for conditioning in batch.conditionings],
    )
    advanced = []
    for rows, batch, prediction in zip(groups, batches, predictions, strict=True):
        now = levels_now(rows)
        guided = batch.guided_by(prediction.float())
        _note(rows, batch.latents, guided)
        x0 = model.family.estimate_x0(batch.latents, guided, now.alpha, now.sigma)
        advanced.append((_keep(rows, _walk(rows, batch.latents, x0, now)), x0))
    return advanced


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What the denoiser reads of rows of one size: first all with their prompts, then the guided ones without.

    Attributes:
        latents: of the rows, and `noisy` with the guided ones once more.
        guided: the places of the guided rows.
        scale: guidance scale of each row, and `scales` with the guided ones once more.
    """

    latents: Tensor
    noisy: Tensor
    times: Tensor
    conditionings: list[Conditioning]
    guided: list[int]
    scale: Tensor
    scales: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], latents: Tensor) -> "_Batch":
        guided = [index for index, row in enumerate(rows) if row.unwanted is not None]
        times = torch.stack([row.schedule.times[row.steps_done] for row in rows]).to(latents.device)
        scale = torch.tensor([row.job.level.guidance_scale for row in rows], device=latents.device)
        return cls(
            latents=latents,
            noisy=torch.cat([latents, latents[guided]]),
            times=torch.cat([times, times[guided]]),
            conditionings=[row.wanted for row in rows] + [row.unwanted for row in rows if row.unwanted is not None],
            guided=guided,
            scale=scale,
            scales=torch.cat([scale, scale[guided]]),
        )

    def guided_by(self, prediction: Tensor) -> Tensor:
        """Return the guided prediction of each row (classifier-free guidance)."""
        count = len(self.latents)
        wanted, unwanted = prediction[:count], prediction[count:]
        if not self.guided:
            return wanted
        scale = self.scale[self.guided].view(-1, 1, 1, 1)
        wanted[self.guided] = unwanted + scale * (wanted[self.guided] - unwanted)
        return wanted


def _predicted(model: LoadedModel, rows: Sequence[Row], latents: Tensor) -> Tensor:
    """Return the guided predictions; those of some rows are taken over from earlier steps of theirs."""
    taken = [
        None if row.cache is None else row.cache.reused(latent, is_last=row.steps_done == len(row.schedule.times) - 1)
        for row, latent in zip(rows, latents, strict=True)
    ]
    rest = [place for place, prediction in enumerate(taken) if prediction is None]
    predictions = latents.clone()
    for place, prediction in enumerate(taken):
        if prediction is not None:
            predictions[place] = prediction
    if rest:
        computing = [rows[place] for place in rest]
        predictions[rest] = computed = _predict(model, computing, latents[rest])
        _note(computing, latents[rest], computed)
    return predictions


def _note(rows: Sequence[Row], latents: Tensor, predictions: Tensor) -> None:
    """Let the caches of rows know what was computed for them."""
    for row, latent, prediction in zip(rows, latents, predictions, strict=True):
        if row.cache is not None:
            row.cache.computed(latent, prediction)


def _predict(model: LoadedModel, rows: Sequence[Row], latents: Tensor) -> Tensor:
    """Return the denoiser's guided prediction for `latents` of shape (rows, channels, height, width).

    Rows come first with their prompts, then the guided ones once more with their negative prompts.
    """
    batch = _Batch.of(rows, latents)
    with_halves = [*rows, *(rows[index] for index in batch.guided)]
    noisy = batch.noisy.to(model.placement.dtype)
    residuals = controlnet_residuals(
        model.controlnets,
        model.family.controlnet_base,
        latents=noisy,
        times=batch.times,
        conditionings=batch.conditionings,
        guidance=batch.scales,
        uses=[row.controls for row in with_halves],
    )
    with model.loras.denoising([row.loras for row in with_halves]):
        prediction = model.family.denoise(noisy, batch.times, batch.conditionings, batch.scales, residuals).float()
    return batch.guided_by(prediction)


def _walk(rows: Sequence[Row], latents: Tensor, x0: Tensor, now: NoiseLevels) -> Tensor:
    """Return the latents of all rows at their next levels, each by its own sampler."""
    after, past = levels_after(rows), before(rows, x0)
    following = torch.empty_like(latents)
    for name in dict.fromkeys(row.job.level.sampler for row in rows):
        mine = [index for index, row in enumerate(rows) if row.job.level.sampler == name]
        following[mine] = samplers_by_name()[name].step(
            latents[mine],
            x0[mine],
            NoiseLevels(alpha=now.alpha[mine], sigma=now.sigma[mine]),
            NoiseLevels(alpha=after.alpha[mine], sigma=after.sigma[mine]),
            PreviousStep(
                x0=past.x0[mine], levels=NoiseLevels(alpha=past.levels.alpha[mine], sigma=past.levels.sigma[mine])
            ),
        )
    return following


def _keep(rows: Sequence[Row], latents: Tensor) -> Tensor:
    """Return the latents of all rows at their next levels, with what some of them keep of a picture."""
    for number, row in enumerate(rows):
        if row.kept is not None:
            step = row.steps_done
            latents[number] = row.kept.within(
                latents[number], row.schedule.alpha_after[step], row.schedule.sigma_after[step]
            )
    return latents
