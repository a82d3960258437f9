"""Builds the configuration of runs from settings."""

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from safelight.bench.client.http_client import ServerConfig
from safelight.bench.datasets.dataset import DatasetOptions, LoadedRequests
from safelight.bench.datasets.json_text import read_json
from safelight.bench.datasets.published import Sources
from safelight.bench.datasets.registry import load_dataset
from safelight.bench.deadlines import ESTIMATORS, step_tiles
from safelight.bench.endpoints.compatibility import check_compatible
from safelight.bench.endpoints.registry import BACKENDS, endpoint_for
from safelight.bench.errors import BadLoad
from safelight.bench.load.arrivals import BURSTINESS, TRACE, arrival_process, arrive_at_rate, replay_at_speed
from safelight.bench.load.request_options import request_options_of
from safelight.bench.load.runner import Notify
from safelight.bench.load.settings import LoadSettings
from safelight.bench.media.shape import Shape
from safelight.bench.media.videos import Decode
from safelight.bench.requests import TASKS, LoadRequest, Task, load_facts_of
from safelight.bench.run import RunConfig
from safelight.core.errors import nearest, shorten
from safelight.core.version import __version__

AT_ONCE = "at once"
OPTIONS = ("lora_dir", "send_deadlines", "return_stage_metrics", "video_json")
"""Settings that change all requests, and are recorded in results."""


@dataclass(frozen=True, kw_only=True)
class LoadSpec:
    """A load without due times; each run draws its own.

    Attributes:
        config: its requests have no valid due times.
        loaded: the requests of the dataset, with the arrival times of a trace if it has some.
    """

    settings: LoadSettings
    config: RunConfig
    loaded: LoadedRequests
    task: Task

    @property
    def arrivals(self) -> str:
        """The name of the arrival process, or `TRACE`."""
        has_own = self.settings.request_rate is None and self.loaded.has_times
        return self.settings.arrivals or (TRACE if has_own else self.arrivals_at_rate)

    @property
    def arrivals_at_rate(self) -> str:
        """The same where something else sets the rate, so that times of a trace do not count."""
        return self.settings.arrivals or ("poisson" if self.settings.burstiness is None else "gamma")

    @property
    def rate(self) -> float:
        """Requests per second."""
        return math.inf if self.settings.request_rate is None else self.settings.request_rate

    @property
    def burstiness(self) -> float:
        """The shape of gamma arrivals."""
        return BURSTINESS if self.settings.burstiness is None else self.settings.burstiness

    @cached_property
    def facts(self) -> dict[str, object]:
        """Facts about the load that go into results, under vLLM-Omni's names where it has some."""
        settings, config = self.settings, self.config
        return {
            "endpoint": config.endpoint.name,
            "model": settings.model,
            "dataset": settings.dataset,
            "dataset_sha256": self.loaded.sha256,
            "task": self.task,
            "bot_task": settings.bot_task,
            "requests": len(config.requests),
            "base_url": config.server.public_url,
            "request_rate": None if self.arrivals == TRACE or math.isinf(self.rate) else self.rate,
            "arrivals": self.arrivals if self.arrivals == TRACE or math.isfinite(self.rate) else AT_ONCE,
            "speed": settings.speed if self.arrivals == TRACE else None,
            "burstiness": self.burstiness if self.arrivals_at_rate == "gamma" else None,
            "max_concurrency": settings.max_concurrency,
            "repeats": settings.repeats,
            "load_seed": settings.seed or 0,
            **load_facts_of(
                config.requests,
                default_inputs=config.options.default_inputs,
                controlnet_images=config.options.controlnet_images,
            ),
            "extra_body": config.options.extra_body,
            "options": {name: value for name in OPTIONS if (value := getattr(settings, name))},
            "retries": settings.retries,
            "warmup_requests": settings.warmup_requests,
            "checked": settings.check,
            "bench_version": __version__,
        }

    def config_for(
        self, *, rate: float | None = None, max_concurrency: int | None = None, turn: int = 0, prefix: str = ""
    ) -> RunConfig:
        """Return the configuration of a run, with due times, at another rate or concurrency if one is given.

        Each turn draws its own arrival times, while prompts, seeds and shapes stay the same. Request ids start with
        `prefix`, followed by the turn if there are several.

        Raises:
            BadLoad: if settings of arrivals contradict each other.
        """
        requests = self._requests_at_due_times(turn) if rate is None else self._requests_at_rate(rate, turn)
        prefix += f"run{turn + 1}-" if self.settings.repeats > 1 else ""
        if prefix:
            requests = [
                msgspec.structs.replace(request, request_id=f"{prefix}{request.request_id}") for request in requests
            ]
        return replace(
            self.config,
            requests=requests,
            max_concurrency=self.config.max_concurrency if max_concurrency is None else max_concurrency,
        )

    def check_rates_can_be_set(self) -> None:
        """Raise BadLoad if settings fix the due times, for commands that set rates themselves."""
        if self.settings.request_rate is not None:
            raise BadLoad("--request-rate does not count where rates are searched or swept over; leave it out.")
        if self.arrivals_at_rate == TRACE:
            raise BadLoad("--arrivals trace has times of its own, and no rate can be set; leave it out.")
        self._check_speed(is_replayed=False)

    def _requests_at_due_times(self, turn: int) -> Sequence[LoadRequest]:
        if self.settings.burstiness is not None and math.isinf(self.rate):
            raise BadLoad("--burstiness is of arrivals at a rate; set it with --request-rate.")
        self._check_speed(is_replayed=self.arrivals == TRACE)
        if self.arrivals != TRACE:
            return self._requests_at_rate(self.rate, turn)
        if self.settings.request_rate is not None:
            raise BadLoad("--arrivals trace has times of its own, and no --request-rate; leave one of them out.")
        if not self.loaded.has_times:
            raise BadLoad("--arrivals trace needs a trace whose requests all have a time; set --request-rate.")
        return replay_at_speed(self.loaded.requests, self.settings.speed)

    def _check_speed(self, *, is_replayed: bool) -> None:
        if self.settings.speed != 1 and not is_replayed:
            raise BadLoad("--speed is of a trace's own times, which are not used here; leave it out.")

    def _requests_at_rate(self, rate: float, turn: int) -> Sequence[LoadRequest]:
        process = arrival_process(self.arrivals_at_rate, burstiness=self.burstiness)
        return arrive_at_rate(
            self.loaded.requests, process, rate, rng=np.random.default_rng([self.settings.seed or 0, 1, turn])
        )


def load_spec_of(settings: LoadSettings, *, notify: Notify) -> LoadSpec:
    """Build a load.

    Raises:
        BadLoad: if settings are invalid or contradict each other, or if the dataset cannot be sent.
        TraceError: if a trace cannot be read.
        ExtensionError: if an installed dataset or endpoint cannot be loaded.
    """
    task = _task(settings)
    server, endpoint = (
        _server(settings),
        endpoint_for(task, settings.endpoint or _endpoint_of_backend(settings.backend)),
    )
    extra_body = _extra_body(settings.extra_body)
    _check_deadline_settings(settings)
    if settings.burstiness is not None and settings.arrivals not in {None, "gamma"}:
        raise BadLoad(f"--burstiness is of gamma arrivals, and not of --arrivals {settings.arrivals}; leave one out.")
    loaded = load_dataset(settings.dataset, _dataset_options(settings, task))
    options = request_options_of(settings, extra_body, task=task, requests=loaded.requests)
    for note in (*loaded.notes, *check_compatible(loaded.requests, options, endpoint)):
        notify(note)
    if settings.slo_ms is not None:
        loaded = replace(loaded, requests=_with_deadline(loaded.requests, settings.slo_ms / 1000))
    if settings.slo:
        _check_estimable(settings, {request.shape for request in loaded.requests if request.deadline_s is None})
    config = RunConfig(
        server=server,
        endpoint=endpoint,
        options=options,
        requests=loaded.requests,
        max_concurrency=settings.max_concurrency,
        retries=settings.retries,
        warm_up_rounds=settings.warmup_requests,
        warm_up_steps=settings.warmup_num_inference_steps,
        warm_up_concurrency=settings.warmup_concurrency,
        estimator=settings.slo_estimator if settings.slo else None,
        slo_scale=settings.slo_scale,
        checks_pictures=settings.check,
        decode=_decode() if endpoint.returns_videos else None,
        scores_scenes=loaded.is_of_scenes,
        save_to=_created(settings.save_dir),
    )
    return LoadSpec(settings=settings, config=config, loaded=loaded, task=task)


def _decode() -> Decode | None:
    """Return the decoder of videos; None without PyAV, which is an extra."""
    try:
        from safelight.bench.media.decoding import frames_of  # noqa: PLC0415 - PyAV is an extra
    except ModuleNotFoundError:
        return None
    return frames_of


def _created(folder: Path | None) -> Path | None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _check_deadline_settings(settings: LoadSettings) -> None:
    _check_positive("--slo-scale", settings.slo_scale)
    if settings.slo_ms is not None:
        _check_positive("--slo-ms", settings.slo_ms)
    if settings.slo_estimator not in ESTIMATORS:
        known = [*ESTIMATORS]
        raise BadLoad(f"--slo-estimator is {shorten(settings.slo_estimator)}; {nearest(settings.slo_estimator, known)}")


def _check_estimable(settings: LoadSettings, shapes: Collection[Shape]) -> None:
    """Raise BadLoad if deadlines of these shapes cannot be estimated."""
    if shapes and not settings.warmup_requests:
        raise BadLoad("--slo estimates deadlines from warm-ups; allow some with --warmup-requests.")
    for shape in shapes:
        step_tiles(shape)


def _with_deadline(requests: Sequence[LoadRequest], deadline_s: float) -> Sequence[LoadRequest]:
    """Return the requests; those without a deadline get this one."""
    return [
        request if request.deadline_s is not None else msgspec.structs.replace(request, deadline_s=deadline_s)
        for request in requests
    ]


def _task(settings: LoadSettings) -> Task:
    for task in TASKS:
        if task == settings.task:
            return task
    raise BadLoad(f"--task is {shorten(settings.task)}; {nearest(settings.task, TASKS)}")


def _endpoint_of_backend(backend: str | None) -> str | None:
    if backend is None:
        return None
    if backend not in BACKENDS:
        raise BadLoad(f"--backend is {shorten(backend)}; {nearest(backend, [*BACKENDS])}")
    return BACKENDS[backend]


def _dataset_options(settings: LoadSettings, task: Task) -> DatasetOptions:
    return DatasetOptions(
        task=task,
        count=settings.num_prompts,
        path=settings.dataset_path,
        sources=Sources.of(os.environ),
        shape=Shape(settings.width, settings.height, settings.num_frames, settings.num_inference_steps),
        seed=settings.seed,
        fps=settings.fps,
        has_negative_prompts=settings.enable_negative_prompt,
        profiles=settings.random_request_config,
        uses_adapters=settings.adapters,
        is_lenient=settings.lenient,
        rng=np.random.default_rng([settings.seed or 0, 0]),
    )


def _server(settings: LoadSettings) -> ServerConfig:
    _check_positive("--timeout", settings.timeout)
    _check_positive("--connect-timeout", settings.connect_timeout)
    headers = dict(_header(text) for text in settings.header or ())
    if settings.api_key:
        _check_key(settings.api_key)
        headers.setdefault("Authorization", f"Bearer {settings.api_key}")
    return ServerConfig(
        url=_without_version(settings.base_url or f"http://{_host(settings.host)}:{settings.port}"),
        headers=headers,
        timeout_s=settings.timeout,
        connect_timeout_s=settings.connect_timeout,
        connections=settings.connections,
        accepts_any_certificate=settings.insecure,
    )


def _check_key(key: str) -> None:
    """Raise BadLoad, whose message does not contain the key."""
    location = next((number for number, each in enumerate(key, 1) if not each.isprintable()), None)
    if location is not None:
        raise BadLoad(
            f"--api-key, or SAFELIGHT_API_KEY, has a character that cannot be sent, {shorten(key[location - 1])}, "
            f"as number {location} of {len(key)}; leave it out."
        )


def _host(name: str) -> str:
    """Return a host as it is written in a URL: IPv6 addresses in brackets."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _without_version(url: str) -> str:
    """Remove the `/v1` that OpenAI's clients want at the end of a URL; endpoints have their own."""
    return url.rstrip("/").removesuffix("/v1")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not (name + value).isprintable():
        raise BadLoad(f"--header {shorten(text)} is no header; write NAME:VALUE.")
    return name.strip(), value.strip()


def _extra_body(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    return read_json(text, dict[str, object], location="--extra-body is no JSON object")


def _check_positive(option: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise BadLoad(f"{option} is {value}; it must be a positive number.")
