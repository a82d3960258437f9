"""The engine: step-level batching over rows that are each at a step of their own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import torch
from torch import Tensor

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec, Composition
from safelight.core.errors import AdapterFileError, LatentsFileError, ModelFolderError
from safelight.core.gate_scorer import GateScorer
from safelight.core.job import Job, PausedRow
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle
from safelight.core.work import Captured
from safelight.diffusion.controlnets.batch import RowControlNet
from safelight.diffusion.controlnets.controlnet import ControlNet, LoadControlNet
from safelight.diffusion.controlnets.local import CONFIG, LocalControlNet
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.gates.scorer import load_gate
from safelight.diffusion.latents_file import Kind, LatentsFile, LatentsHeader
from safelight.diffusion.loading import LoadedModel, load_model
from safelight.diffusion.lora.weights import LoraWeights
from safelight.diffusion.placement import ON_CPU, Placement, use_deterministic_kernels
from safelight.diffusion.prompt_cache import PROMPT_CACHE_BYTES, PromptCache, PromptKey
from safelight.diffusion.rows import Row
from safelight.diffusion.samplers.schedule import Schedule
from safelight.diffusion.starts import Beginning, begin_from
from safelight.diffusion.step_cache import StepCache
from safelight.diffusion.stepping import advance, advance_mixed, by_size

SCHEDULES_KEPT = 256
LORA_RANKS = 256

UNPROMPTED: Final = (None, NO_ADAPTERS)
"""What guidance steers away from by default."""

_Item = TypeVar("_Item")


class _Encoded(NamedTuple):
    """The conditionings of some texts, and those of them that were encoded for it."""

    conditionings: Mapping[PromptKey, Conditioning]
    fresh: frozenset[PromptKey]


@dataclass(frozen=True, kw_only=True)
class AdapterWeights:
    """Weights of an adapter and the model that they fit."""

    model: str
    weights: LoraWeights | ControlNet


class DiffusionEngine:
    """Paints rows of any loaded model; one denoiser call a step, both guidance halves in it.

    A `deterministic` engine calls every network for one picture at a time. Kernels choose their blocking, and so their
    rounding, by the shape of a batch and by the place of a row in it. Without other rows, the numbers of a picture are
    the same in any company, bit by bit.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        *,
        load_controlnet: LoadControlNet | None = None,
        deterministic: bool = False,
        gates: Sequence[GateScorer] = (),
        prompt_cache_bytes: int = PROMPT_CACHE_BYTES,
    ) -> None:
        self.gates = tuple(gates)
        self._prompts = {model.spec.name: PromptCache(prompt_cache_bytes // len(models)) for model in models}
        self._deterministic = deterministic
        self._models = {model.spec.name: model for model in models}
        self._load_controlnet = load_controlnet
        self._rows: dict[str, Row] = {}
        self._adapters: dict[AdapterHandle, str] = {}
        self._latents: dict[LatentsHandle, bytes] = {}
        self._schedule = lru_cache(maxsize=SCHEDULES_KEPT)(self._make_schedule)

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        *,
        placement: Placement = ON_CPU,
        threads: int = 1,
        max_denoiser_rows: int = 32,
        lora_ranks: int = LORA_RANKS,
        load_controlnet: LoadControlNet | None = None,
        deterministic: bool = False,
        gates: Iterable[Path] = (),
        prompt_cache_bytes: int = PROMPT_CACHE_BYTES,
    ) -> "DiffusionEngine":
        """Load model folders and measure them; of all LoRAs beside one model, the ranks come to `lora_ranks` at most.

        ControlNets are loaded by `load_controlnet`, by default on the device of the models.
        On a GPU, `deterministic` sets torch's deterministic algorithms for the whole process.

        Raises:
            ModelFolderError: if a folder cannot be served, or two would be served under one name.
            GateFileError: if a gate is damaged, or was made for other models.
        """
        torch.set_num_threads(threads)
        if deterministic:
            use_deterministic_kernels(placement)
        with torch.inference_mode():
            models = [
                load_model(
                    folder,
                    placement=placement,
                    max_denoiser_rows=max_denoiser_rows,
                    lora_ranks=lora_ranks,
                    deterministic=deterministic,
                )
                for folder in folders
            ]
        names = [model.spec.name for model in models]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ModelFolderError(f"Two model folders are called {min(doubled)!r}; rename one of them.")
        weights = {model.spec.name: model.weights for model in models}
        scorers = [load_gate(path, weights) for path in gates]
        return cls(
            models,
            load_controlnet=load_controlnet,
            deterministic=deterministic,
            gates=scorers,
            prompt_cache_bytes=prompt_cache_bytes,
        )

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models that are loaded."""
        return tuple(model.spec for model in self._models.values())

    def _make_schedule(self, model: str, sampler: str, steps: int, width: int, height: int) -> Schedule:
        return self._models[model].family.schedule(sampler=sampler, steps=steps, width=width, height=height)

    def _schedule_of(self, job: Job) -> Schedule:
        level, request = job.level, job.request
        return self._schedule(level.model, level.sampler, level.steps, request.width, request.height)

    def _together(self, items: Sequence[_Item]) -> list[Sequence[_Item]]:
        """Return the groups of `items` that share the calls of networks."""
        return [[item] for item in items] if self._deterministic else [items]

    @torch.inference_mode()
    def begin(self, jobs: Sequence[Job]) -> None:
        """Encode the prompts of `jobs`, all of one model, and give each a row of what it starts from.

        Raises:
            LatentsFileError: if one starts from latents that are not here, or that it cannot use.
        """
        model = self._models[jobs[0].level.model]
        for group in self._together(jobs):
            encoded = self._encode(model, group)
            for job in group:
                start = None if job.level.start is None else self.latents(job.level.start)
                beginning = begin_from(model.family, job, self._schedule_of(job), weights=model.weights, start=start)
                self._add_row(model, job, encoded, beginning)

    def _encode(self, model: LoadedModel, jobs: Sequence[Job]) -> _Encoded:
        """Return every text with its conditioning; those that are not kept are encoded, in one batch."""
        cache = self._prompts[model.spec.name]
        texts = dict.fromkeys(text for job in jobs for text in _texts(model, job) if text is not None)
        known = {text: found for text in texts if (found := cache.get(text)) is not None}
        known |= {text: model.unprompted for text in texts if text[1:] == UNPROMPTED}
        fresh = [text for text in texts if text not in known]
        if fresh:
            with model.loras.encoding([loras for _, _, loras in fresh]):
                encoded = dict(zip(fresh, model.family.encode([prompt for _, prompt, _ in fresh]), strict=True))
            for text, conditioning in encoded.items():
                cache.keep(text, conditioning)
            return _Encoded(known | encoded, frozenset(fresh))
        return _Encoded(known, frozenset())

    def _add_row(self, model: LoadedModel, job: Job, encoded: _Encoded, beginning: Beginning) -> Row:
        assert job.level.guidance == model.spec.guidance
        beginning = beginning.to(model.placement.device)
        wanted, unwanted = _texts(model, job)
        row = Row(
            job=job,
            schedule=self._schedule_of(job),
            wanted=encoded.conditionings[wanted],
            unwanted=None if unwanted is None else encoded.conditionings[unwanted],
            knew_prompt=wanted not in encoded.fresh,
            loras=job.composition,
            controls=tuple(
                RowControlNet(
                    handle=job.handle(use.name), scale=use.scale, hint=model.family.controlnet_hint(use.image)
                )
                for use in job.request.controlnets
            ),
            latent=beginning.latent,
            kept=beginning.kept,
            steps_done=job.level.first_step,
            cache=StepCache(job.level.step_cache) if job.level.step_cache else None,
        )
        self._rows[job.id] = row
        return row

    @torch.inference_mode()
    def equip(self, jobs: Sequence[Job]) -> None:
        """Give rows of one model that began without LoRAs those of `jobs`, from the next step on.

        Prompts are encoded anew where the LoRAs change how.
        """
        model = self._models[jobs[0].level.model]
        reworded = [job for job in jobs if not model.loras.on_text(job.composition).is_empty]
        for group in self._together(reworded) if reworded else []:
            encoded = self._encode(model, group)
            for job in group:
                row, (wanted, unwanted) = self._rows[job.id], _texts(model, job)
                row.wanted = encoded.conditionings[wanted]
                row.unwanted = None if unwanted is None else encoded.conditionings[unwanted]
        for job in jobs:
            row = self._rows[job.id]
            row.job, row.loras = job, job.composition

    @torch.inference_mode()
    def step(self, request_ids: Sequence[str]) -> tuple[str, ...]:
        """Advance each row by one step in one denoiser call, or in one for each row; all rows share the model.

        Rows of different sizes need a family that mixes them, the LoRAs that are folded, and no ControlNets.

        Returns the ids of rows whose numbers are no longer finite.

        Raises:
            AdapterLost: if a ControlNet in another process does not answer; then no row has moved.
        """
        rows = [self._rows[request_id] for request_id in request_ids]
        model = self._models[rows[0].job.level.model]
        groups = self._together(rows)
        # No row moves before all calls are over, since each may lose a ControlNet.
        if len(sizes := by_size(rows)) > 1 and not self._deterministic:
            groups = sizes
            advanced = advance_mixed(model, groups)
        else:
            advanced = [advance(model, group) for group in groups]
        broken: list[str] = []
        for group, (following, x0) in zip(groups, advanced, strict=True):
            finite = torch.isfinite(following).flatten(1).all(dim=1).tolist()
            for row, latent, estimate, is_finite in zip(group, following, x0, finite, strict=True):
                row.latent, row.x0 = latent, estimate
                row.steps_done += 1
                if not is_finite:
                    broken.append(row.job.id)
        return tuple(broken)

    def reused_step(self, request_id: str) -> bool:
        """Return whether the last step of a row took over the prediction of an earlier one."""
        cache = self._rows[request_id].cache
        return cache is not None and cache.was_reused

    @torch.inference_mode()
    def preview(self, request_id: str) -> Pixels:
        """Return the row's estimate of its picture, one pixel per position of the latents."""
        row = self._rows[request_id]
        return self._models[row.job.level.model].preview.paint(row.latent if row.x0 is None else row.x0)

    def step_at(self, job: Job, noise: float) -> int:
        """Return the step of a job's schedule at which a row starts from an estimate at a noise level, a sigma."""
        return self._schedule_of(job).step_at(noise)

    def captured(self, request_id: str) -> Captured | None:
        """Keep the row's estimate if its last step was the first at one of the noise levels that its level captures.

        It stays when the row is gone, until `drop_latents`.
        """
        row = self._rows[request_id]
        if not row.is_captured or row.x0 is None:
            return None
        step = row.steps_done - 1
        noise = float(row.schedule.sigma[step])
        file = self._file(row, {"x0": row.x0}, kind="estimate", step=step, noise=noise)
        handle = LatentsHandle(id=f"{request_id}-{row.job.stage}-{row.job.attempt}-{step}")
        self._latents[handle] = file
        noises = tuple(row.schedule.sigma.tolist())
        return Captured(request_id=request_id, handle=handle, noise=noise, latents_bytes=len(file), noises=noises)

    def latents(self, handle: LatentsHandle) -> bytes:
        """Return captured latents as a latents file; they stay.

        Raises:
            LatentsFileError: if they are not here.
        """
        if handle not in self._latents:
            raise LatentsFileError(f"{handle.id!r} is not in this worker, or not any more")
        return self._latents[handle]

    def put_latents(self, handle: LatentsHandle, file: bytes) -> None:
        """Keep latents that were captured elsewhere.

        Raises:
            LatentsFileError: if the file cannot be read.
        """
        LatentsFile.from_bytes(file)
        self._latents[handle] = file

    def drop_latents(self, handle: LatentsHandle) -> None:
        """Let go of captured latents; unknown handles are ignored."""
        self._latents.pop(handle, None)

    def pause(self, request_id: str) -> PausedRow:
        """Free a row, and return all that it needs to go on in any engine with the same model and adapters."""
        row = self._rows.pop(request_id)
        tensors = {"latent": row.latent} | ({} if row.x0 is None else {"x0": row.x0})
        file = self._file(row, tensors, kind="row", step=row.steps_done, noise=row.noise)
        return PausedRow(steps_run=row.steps_done - row.job.level.first_step, file=file)

    @torch.inference_mode()
    def resume(self, job: Job) -> None:
        """Begin a row where a row of the same job was paused; latents that it started from need not be here.

        Raises:
            LatentsFileError: if it was another request's or at another level, or of other weights.
        """
        assert job.paused is not None
        model = self._models[job.level.model]
        shape = model.family.latent_shape(job.request.width, job.request.height)
        file = LatentsFile.from_bytes(job.paused.file)
        file.check("row", job, weights=model.weights, shape=shape)
        beginning = Beginning(latent=file.tensors["latent"])
        if job.level.start is None:
            begun = begin_from(model.family, job, self._schedule_of(job), weights=model.weights)
            beginning = Beginning(latent=file.tensors["latent"], kept=begun.kept)
        row = self._add_row(model, job, self._encode(model, [job]), beginning)
        row.steps_done = file.header.step
        row.x0 = file.tensors["x0"].to(model.placement.device) if "x0" in file.tensors else None

    def _file(self, row: Row, tensors: Mapping[str, Tensor], *, kind: Kind, step: int, noise: float) -> bytes:
        weights = self._models[row.job.level.model].weights
        header = LatentsHeader.of(row.job, kind=kind, weights=weights, step=step, noise=noise)
        return LatentsFile(header=header, tensors=tensors).to_bytes()

    def knew_prompt(self, request_id: str) -> bool:
        """Return whether the prompt of a row had been encoded before."""
        return self._rows[request_id].knew_prompt

    def prompt_tokens(self, request_id: str) -> int:
        """Return how many tokens of the prompt the model saw."""
        return self._rows[request_id].wanted.prompt_tokens

    @torch.inference_mode()
    def finish(self, request_ids: Sequence[str]) -> list[Pixels]:
        """Decode rows of one model that have all their steps, and free them."""
        rows = [self._rows.pop(request_id) for request_id in request_ids]
        assert all(row.is_finished for row in rows)
        family = self._models[rows[0].job.level.model].family
        pictures: dict[str, Pixels] = {}
        for group in (part for same_size in by_size(rows) for part in self._together(same_size)):
            decoded = family.decode(torch.stack([row.latent for row in group])).cpu().numpy()
            for row, picture in zip(group, decoded, strict=True):
                height, width, _ = picture.shape
                pictures[row.job.id] = Pixels(width=width, height=height, rgb=picture.tobytes())
        return [pictures[request_id] for request_id in request_ids]

    def is_remote(self, path: Path) -> bool:
        """Whether this is a ControlNet that another process loads."""
        return self._load_controlnet is not None and (path / CONFIG).exists()

    def read_adapter(self, name: str, path: Path) -> tuple[AdapterSpec, AdapterWeights]:
        """Read a LoRA or a ControlNet for the first of the models that it fits; safe in any thread.

        Raises:
            AdapterFileError: if it cannot be used with any of them.
        """
        read = self._read_controlnet if (path / CONFIG).exists() else self._read_lora
        refusals = []
        for model in self._models.values():
            try:
                return read(model, name, path)
            except AdapterFileError as error:
                refusals.append(str(error))
        raise AdapterFileError(" ".join(dict.fromkeys(refusals)))

    def _read_lora(self, model: LoadedModel, name: str, path: Path) -> tuple[AdapterSpec, AdapterWeights]:
        spec, weights = model.loras.read(name, path)
        return spec, AdapterWeights(model=spec.model, weights=weights)

    def _read_controlnet(self, model: LoadedModel, name: str, path: Path) -> tuple[AdapterSpec, AdapterWeights]:
        load = self._load_controlnet or partial(LocalControlNet.load, placement=model.placement)
        net = load(path, model.family.controlnet_base)
        spec = AdapterSpec(name=name, kind="controlnet", model=model.spec.name, weights_bytes=net.weights_bytes)
        return spec, AdapterWeights(model=spec.model, weights=net)

    @torch.inference_mode()
    def load_adapter(self, handle: AdapterHandle, weights: AdapterWeights) -> None:
        """Put an adapter beside its model; rows call it `handle`."""
        model = self._models[weights.model]
        if isinstance(weights.weights, LoraWeights):
            model.loras.load(handle, weights.weights)
        else:
            model.controlnets[handle] = weights.weights
        self._adapters[handle] = weights.model

    @torch.inference_mode()
    def evict_adapter(self, handle: AdapterHandle) -> None:
        """Let go of an adapter that no row uses."""
        model = self._models[self._adapters.pop(handle)]
        if model.controlnets.pop(handle, None) is None:
            model.loras.evict(handle)

    @torch.inference_mode()
    def fold(self, model: str, composition: Composition) -> None:
        """Have the model's weights hold `composition` of handles and nothing else; rows get what differs from it.

        A deterministic engine folds nothing: a row would be rounded according to what the weights hold.
        """
        assert composition.is_empty or not self._deterministic, "a deterministic engine folds no LoRAs"
        self._models[model].loras.fold(composition)

    def drop(self, request_id: str) -> None:
        """Free a row; ids without a row are ignored."""
        self._rows.pop(request_id, None)


def _texts(model: LoadedModel, job: Job) -> tuple[PromptKey, PromptKey | None]:
    """Return what the picture of `job` is guided to, and from, if it is."""
    loras, tenant = model.loras.on_text(job.composition), job.request.tenant
    unwanted = (tenant, job.request.negative_prompt or None, loras) if job.level.is_guided else None
    return (tenant, job.request.prompt, loras), unwanted
