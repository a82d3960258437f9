"""Pictures in this program: the service over worker processes of this machine, without a server."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from PIL import Image

from safelight.api.engine_options import check_options, paint_request
from safelight.api.options import GenerationOptions, ImageInput
from safelight.api.picture import Picture
from safelight.api.wire import ServedAdapter, ServedModel
from safelight.control.config import ControlConfig
from safelight.control.fleet import FleetController
from safelight.control.levels.constraints import find_model
from safelight.control.policies import deterministic_policies_from, policies_from
from safelight.core.errors import Cancelled, CannotServe, InvalidParameter, SafelightError
from safelight.core.provenance import provenance_of
from safelight.local.adapter_folder import find_adapters
from safelight.local.cascades import cascades_and_policies
from safelight.local.launch import compute_options, worker_argv
from safelight.local.model_folders import adapter_folders, model_folders
from safelight.local.pool import LocalPool
from safelight.service.clock import MonotonicClock
from safelight.service.metrics import Metrics
from safelight.service.outcome_log import OutcomeLog
from safelight.service.paint_request import PaintRequest, image_requests
from safelight.service.pending import Delivery
from safelight.service.picture_files import FULL_QUALITY, OutputFormat, encode
from safelight.service.service import Service, ServiceParts

Result = TypeVar("Result")

START_WITHIN_S = 600.0


class Engine:
    """Generates pictures with models of this machine; needs the extra `[serve]`.

    Worker processes load the models once. Calls that run at the same time, from threads or from coroutines, share
    batches step by step, just as requests to a server do. Their pictures depend on each other by rounding only: a few
    channel values may differ by 1/255. With `deterministic` they do not depend on each other at all.

    All methods that generate raise:
        RequestError: if a picture can never be made like that.
        Rejected: if it is not accepted now, for example since it cannot be ready by its deadline.
        WorkFailed: if it was accepted and could not be completed.
        Cancelled: if the engine is closed before it is ready.
        CannotServe: if no worker can be started any more.
        RuntimeError: if the engine is closed already.

    Args:
        models: names of shipped models, or diffusers folders; by default every shipped model.
        adapters: folders of adapters, searched before the user's own and the shipped ones.
        workers: worker processes.
        device: as torch calls it, or `auto`.
        dtype: `float32`, `bfloat16`, `float16` or `auto`.
        threads: torch threads of each worker.
        policies: presets or `FAMILY=NAME`, as `safelight serve --policy` takes them.
        cascades: `NAME=LIGHT,HEAVY[,GATE]` or files, as `safelight serve --cascade` takes them.
        deterministic: as `safelight serve --deterministic`: the same bytes for the same call in any company.
        start_within_s: how long loading may take.

    Raises:
        RequestError: if there is no such model, folder or policy, or no worker.
        CannotServe: if the workers cannot start.
    """

    def __init__(
        self,
        models: Sequence[str | PathLike[str]] | None = None,
        *,
        adapters: Sequence[str | PathLike[str]] = (),
        workers: int = 1,
        device: str = "auto",
        dtype: str = "auto",
        threads: int = 1,
        policies: Sequence[str] = (),
        cascades: Sequence[str] = (),
        deterministic: bool = False,
        start_within_s: float = START_WITHIN_S,
    ) -> None:
        if workers < 1:
            raise InvalidParameter("workers", workers, "at least one is needed")
        self._folders = model_folders(None if models is None else [str(model) for model in models])
        self._adapters = find_adapters(adapter_folders([Path(folder) for folder in adapters]))
        chosen = deterministic_policies_from(policies) if deterministic else policies_from(policies)
        levels = (*policies, *(("level=as-asked",) if deterministic else ()))
        served, self._policies = cascades_and_policies(cascades, self._folders, chosen, policy_choices=levels)
        self._cascades = served.cascades
        limits = compute_options(device=device, dtype=dtype, threads=threads, deterministic=deterministic)
        self._argv = worker_argv(self._folders, *limits, *self._policies.worker_options, *served.worker_options)
        self._workers = workers
        self._service: Service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event
        self._ending = threading.RLock()
        self._has_ended = False
        self._failure: str | None = None
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="safelight-engine", daemon=True)
        self._thread.start()
        try:
            started.result(start_within_s)
        except TimeoutError:
            self.close()
            raise TimeoutError(f"The models were not ready within {start_within_s:g} s.") from None
        except BaseException:
            self.close()
            raise

    def generate(self, prompt: str, **options: Unpack[GenerationOptions]) -> list[Picture]:
        """Generate pictures from a prompt; the options are those of `GenerationOptions`."""
        return self._wait(self._paint(prompt, options))

    async def generate_async(self, prompt: str, **options: Unpack[GenerationOptions]) -> list[Picture]:
        """Do what `generate` does; cancelling the coroutine cancels the pictures."""
        return await self._join(self._paint(prompt, options))

    def edit(
        self,
        prompt: str,
        image: ImageInput | Sequence[ImageInput],
        *,
        mask: ImageInput | None = None,
        strength: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> list[Picture]:
        """Generate pictures that start from `image`, as `Client.edit` does."""
        return self._wait(self._paint(prompt, options, images=_images(image), mask=mask, strength=strength))

    async def edit_async(
        self,
        prompt: str,
        image: ImageInput | Sequence[ImageInput],
        *,
        mask: ImageInput | None = None,
        strength: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> list[Picture]:
        """Do what `edit` does; cancelling the coroutine cancels the pictures."""
        return await self._join(self._paint(prompt, options, images=_images(image), mask=mask, strength=strength))

    def models(self) -> list[ServedModel]:
        """Return the models that are loaded."""
        return [
            ServedModel(
                name=spec.name,
                family=spec.family,
                size=f"{spec.width}x{spec.height}",
                size_multiple=spec.size_multiple,
                max_side=spec.max_side,
                steps=spec.steps,
                guidance_scale=spec.guidance_scale,
                sampler=spec.sampler,
                samplers=spec.samplers,
            )
            for spec in self._service.models.values()
        ]

    def adapters(self) -> list[ServedAdapter]:
        """Return the LoRAs and ControlNets that calls may name."""
        return self._wait(self._list_adapters())

    def close(self) -> None:
        """End the workers; pictures under way are cancelled."""
        if not self._thread.is_alive():
            return
        with self._ending:
            self._has_ended = True
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop may be closed already
                    self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = self._schedule(work)
        try:
            return future.result()
        except CancelledError:
            raise self._end() from None
        except BaseException:
            future.cancel()
            raise

    async def _join(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = self._schedule(work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise self._end() from None
            raise

    def _schedule(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin `work` in the engine's thread, which ends what has begun before the engine ends."""
        if self._thread.is_alive():
            with self._ending:
                if not self._has_ended and self._loop is not None:
                    return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise self._end()

    def _end(self) -> Exception:
        """Return why nothing is generated any more."""
        if self._failure is None:
            return RuntimeError("The engine is closed.")
        return CannotServe(self._failure)

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            self._failure = f"The engine has failed ({type(error).__name__}: {error})."
            if not started.done():
                started.set_exception(error)
        finally:
            self._has_ended = True

    async def _serve(self, started: Future[None]) -> None:
        """Run the service until `close`."""
        with self._ending:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            if self._has_ended:
                return
        log = _Log()
        clock = MonotonicClock()
        self._service = service = Service(
            ServiceParts(
                controller=FleetController(ControlConfig(policies=self._policies, cascades=self._cascades)),
                pool=LocalPool(self._argv, size=self._workers, log=log),
                clock=clock,
                metrics=Metrics(),
                outcomes=OutcomeLog(None, epoch_s=clock.epoch_s(), log=log),
                log=log,
            )
        )
        service.start(self._adapters)
        stop: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        ready: asyncio.Future[Any] = asyncio.ensure_future(service.first_ready.wait())
        collapse: asyncio.Future[Any] = service.collapse
        try:
            await asyncio.wait({stop, ready, collapse}, return_when=asyncio.FIRST_COMPLETED)
            if service.collapse.done():
                started.set_exception(service.collapse.result())
                return
            started.set_result(None)
            await asyncio.wait({stop, collapse}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            error: SafelightError = Cancelled("The engine was closed before the picture was ready.")
            with self._ending:
                self._has_ended = True
                if collapse.done():
                    error, self._failure = collapse.result(), str(collapse.result())
            service.withdraw_all(error)
            for waiting in (stop, ready):
                waiting.cancel()
            await service.stop()

    async def _paint(
        self,
        prompt: str,
        options: GenerationOptions,
        *,
        images: Sequence[ImageInput] = (),
        mask: ImageInput | None = None,
        strength: float | None = None,
    ) -> list[Picture]:
        check_options(options)
        paint = await asyncio.to_thread(paint_request, prompt, options, images=images, mask=mask, strength=strength)
        deliveries = await self._deliveries(paint)
        output_format, compression = options.get("output_format") or "png", options.get("output_compression")
        quality = FULL_QUALITY if compression is None else compression
        files = await asyncio.to_thread(_files, deliveries, output_format, quality)
        return _pictures(deliveries, files, output_format)

    async def _deliveries(self, paint: PaintRequest) -> list[Delivery]:
        service = self._service
        service.check_open()
        model = find_model(paint.model, service.named)
        requests = await asyncio.to_thread(image_requests, paint, model, arrived_s=service.now_s)
        if self._has_ended:
            raise self._end()
        pending = service.submit(requests)
        try:
            return await asyncio.gather(*(asyncio.shield(each.delivery) for each in pending))
        finally:
            for each in pending:
                service.withdraw(each.request.id)

    async def _list_adapters(self) -> list[ServedAdapter]:
        controller = self._service.controller
        return [
            ServedAdapter(
                name=each.spec.name,
                kind=each.spec.kind,
                model=each.spec.model,
                ranks=each.spec.ranks,
                parts=each.spec.parts,
                weights_bytes=each.spec.weights_bytes,
                pictures=controller.requests_with(each.handle),
            )
            for each in controller.adapters
        ]


class _Log:
    """Passes warnings and errors to the logging of the program; the rest is of no interest there."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("safelight")

    def debug(self, event: str, **facts: object) -> None:
        self._write(self._logger.debug, event, facts)

    def info(self, event: str, **facts: object) -> None:
        self._write(self._logger.debug, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        self._write(self._logger.warning, event, facts)

    def error(self, event: str, **facts: object) -> None:
        self._write(self._logger.error, event, facts)

    def _write(self, write: Callable[..., None], event: str, facts: dict[str, object]) -> None:
        write("%s %s", event, facts)


def _images(image: ImageInput | Sequence[ImageInput]) -> Sequence[ImageInput]:
    images = [image] if isinstance(image, bytes | str | PathLike | Image.Image | Picture) else image
    if not images:
        raise InvalidParameter("image", images, "give at least one picture to start from")
    return images


def _files(deliveries: Sequence[Delivery], output_format: OutputFormat, quality: int) -> list[bytes]:
    return [encode(delivery.finished.picture, output_format, quality) for delivery in deliveries]


def _pictures(deliveries: Sequence[Delivery], files: Sequence[bytes], output_format: OutputFormat) -> list[Picture]:
    provenance = provenance_of([delivery.outcome for delivery in deliveries])
    return [
        Picture(
            content=content,
            media_type=f"image/{output_format}",
            id=delivery.request.id,
            seed=delivery.request.seed,
            provenance=provenance,
        )
        for delivery, content in zip(deliveries, files, strict=True)
    ]
