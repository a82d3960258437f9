"""The engine: step-level batching over rows that are each at a step of their own."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from safelight.core.errors import ModelFolderError
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.core.work import Pixels
from safelight.diffusion.family import Conditioning
from safelight.diffusion.loading import LoadedModel, load_model
from safelight.diffusion.rows import Row, before, initial_noise, levels_after, levels_now
from safelight.diffusion.samplers import SAMPLERS_BY_NAME, Before, Levels
from safelight.diffusion.schedule import Schedule, make_schedule

SCHEDULES_KEPT = 256


class DiffusionEngine:
    """Paints rows of any loaded model; one denoiser call a step, both guidance halves in it."""

    def __init__(self, models: Sequence[LoadedModel], *, device: str) -> None:
        self._models = {model.spec.name: model for model in models}
        self._device = device
        self._rows: dict[str, Row] = {}
        self._schedule = lru_cache(maxsize=SCHEDULES_KEPT)(self._make_schedule)

    @classmethod
    def load(
        cls, folders: Sequence[Path], *, device: str = "cpu", threads: int = 1, max_denoiser_rows: int = 32
    ) -> "DiffusionEngine":
        """Load model folders and measure them.

        Raises:
            ModelFolderError: if a folder cannot be served, or two would be served under one name.
        """
        torch.set_num_threads(threads)
        with torch.inference_mode():
            models = [load_model(folder, device=device, max_denoiser_rows=max_denoiser_rows) for folder in folders]
        names = [model.spec.name for model in models]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ModelFolderError(f"Two model folders are called {min(doubled)!r}; rename one of them.")
        return cls(models, device=device)

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models that are loaded."""
        return tuple(model.spec for model in self._models.values())

    def _make_schedule(self, model: str, sampler: str, steps: int) -> Schedule:
        return make_schedule(self._models[model].family.scheduler_config, sampler=sampler, steps=steps)

    @torch.inference_mode()
    def begin(self, requests: Sequence[ImageRequest]) -> None:
        """Encode the prompts of `requests`, all of one model, and give each a row of initial noise."""
        model = self._models[requests[0].model]
        encoded = _encode(model, requests)
        for request in requests:
            shape = model.family.latent_shape(request.width, request.height)
            schedule = self._schedule(request.model, request.sampler, request.steps)
            self._rows[request.id] = Row(
                request=request,
                schedule=schedule,
                wanted=encoded[request.prompt],
                unwanted=encoded[request.negative_prompt] if request.is_guided else None,
                latent=(schedule.first_scale * initial_noise(request, shape)).to(self._device),
            )

    @torch.inference_mode()
    def step(self, request_ids: Sequence[str]) -> tuple[str, ...]:
        """Advance each row by one step in one denoiser call; all rows share model and size.

        Returns the ids of rows whose numbers are no longer finite.
        """
        rows = [self._rows[request_id] for request_id in request_ids]
        model = self._models[rows[0].request.model]
        latents = torch.stack([row.latent for row in rows])
        now = levels_now(rows)
        x0 = model.family.estimate_x0(latents, _predict(model, rows, latents), now.alpha, now.sigma)
        following = _walk(rows, latents, x0, now)
        for row, latent, estimate in zip(rows, following, x0, strict=True):
            row.latent, row.x0 = latent, estimate
            row.steps_done += 1
        finite = torch.isfinite(following).flatten(1).all(dim=1).tolist()
        return tuple(row.request.id for row, is_finite in zip(rows, finite, strict=True) if not is_finite)

    @torch.inference_mode()
    def preview(self, request_id: str) -> Pixels:
        """Return the row's estimate of its picture, one pixel for each place of the latents."""
        row = self._rows[request_id]
        return self._models[row.request.model].preview.paint(row.latent if row.x0 is None else row.x0)

    def prompt_tokens(self, request_id: str) -> int:
        """Return how many tokens of the prompt the model saw."""
        return self._rows[request_id].wanted.prompt_tokens

    @torch.inference_mode()
    def finish(self, request_ids: Sequence[str]) -> list[Pixels]:
        """Decode rows of one model and size that have all their steps, and free them."""
        rows = [self._rows.pop(request_id) for request_id in request_ids]
        assert all(row.is_finished for row in rows)
        family = self._models[rows[0].request.model].family
        pictures = family.decode(torch.stack([row.latent for row in rows])).cpu().numpy()
        return [Pixels(width=picture.shape[1], height=picture.shape[0], rgb=picture.tobytes()) for picture in pictures]

    def drop(self, request_id: str) -> None:
        """Free a row; ids without a row are ignored."""
        self._rows.pop(request_id, None)


def _encode(model: LoadedModel, requests: Sequence[ImageRequest]) -> dict[str, Conditioning]:
    """Return every text of `requests` with its conditioning, each encoded once, in one batch."""
    prompts = [request.prompt for request in requests]
    prompts += [request.negative_prompt for request in requests if request.is_guided]
    fresh = [prompt for prompt in dict.fromkeys(prompts) if prompt]
    conditionings = model.family.encode(fresh) if fresh else []
    return dict(zip(fresh, conditionings, strict=True)) | {"": model.empty_prompt}


def _predict(model: LoadedModel, rows: Sequence[Row], latents: Tensor) -> Tensor:
    """Return the denoiser's guided prediction for `latents` of shape (rows, channels, height, width).

    Rows come first with their prompts, then the guided ones once more with their negative prompts.
    """
    guided = [index for index, row in enumerate(rows) if row.unwanted is not None]
    times = torch.stack([row.schedule.times[row.steps_done] for row in rows]).to(latents.device)
    contexts = [row.wanted.context for row in rows] + [row.unwanted.context for row in rows if row.unwanted is not None]
    prediction = model.family.denoise(
        torch.cat([latents, latents[guided]]), torch.cat([times, times[guided]]), torch.stack(contexts)
    )
    wanted, unwanted = prediction[: len(rows)], prediction[len(rows) :]
    if not guided:
        return wanted
    scale = torch.tensor([rows[index].request.guidance_scale for index in guided], device=latents.device)
    wanted[guided] = unwanted + scale.view(-1, 1, 1, 1) * (wanted[guided] - unwanted)
    return wanted


def _walk(rows: Sequence[Row], latents: Tensor, x0: Tensor, now: Levels) -> Tensor:
    """Return the latents of all rows at their next levels, each by its own sampler."""
    after, past = levels_after(rows), before(rows, x0)
    following = torch.empty_like(latents)
    for name in dict.fromkeys(row.request.sampler for row in rows):
        mine = [index for index, row in enumerate(rows) if row.request.sampler == name]
        following[mine] = SAMPLERS_BY_NAME[name].step(
            latents[mine],
            x0[mine],
            Levels(alpha=now.alpha[mine], sigma=now.sigma[mine]),
            Levels(alpha=after.alpha[mine], sigma=after.sigma[mine]),
            Before(x0=past.x0[mine], levels=Levels(alpha=past.levels.alpha[mine], sigma=past.levels.sigma[mine])),
        )
    return following
