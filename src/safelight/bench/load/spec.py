"""From flags to what a run does."""

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from safelight import __version__
from safelight.bench.client.http_client import Server
from safelight.bench.datasets.dataset import DatasetOptions, LoadedRequests
from safelight.bench.datasets.json_text import read_json
from safelight.bench.datasets.published import Sources
from safelight.bench.datasets.registry import read
from safelight.bench.deadlines import ESTIMATORS, step_tiles
from safelight.bench.endpoints.compatibility import check_compatible
from safelight.bench.endpoints.registry import BACKENDS, endpoint_for
from safelight.bench.endpoints.videos import Videos
from safelight.bench.load.arrivals import BURSTINESS, TRACE, arrival_process, arrive_at_rate, replay_at_speed
from safelight.bench.load.request_options import request_options_of
from safelight.bench.load.runner import Notify, RunConfig
from safelight.bench.media.videos import Decode
from safelight.bench.requests import TASKS, LoadRequest, Shape, Task, load_facts_of
from safelight.cli.bench.flags import LoadFlags
from safelight.cli.errors import Misuse
from safelight.core.errors import nearest, shorten

AT_ONCE = "at once"
OPTIONS = ("lora_dir", "send_deadlines", "return_stage_metrics", "video_json")
"""Flags that change how all requests are put."""


@dataclass(frozen=True, kw_only=True)
class LoadSpec:
    """A plan whose requests have no times yet."""

    flags: LoadFlags
    config: RunConfig
    loaded: LoadedRequests
    task: Task

    @property
    def arrivals(self) -> str:
        """How requests arrive."""
        has_own = self.flags.request_rate is None and self.loaded.has_times
        return self.flags.arrivals or (TRACE if has_own else self.arrivals_at_rates)

    @property
    def arrivals_at_rates(self) -> str:
        """How requests arrive where the rate is set, whatever times a trace has."""
        return self.flags.arrivals or ("poisson" if self.flags.burstiness is None else "gamma")

    @property
    def rate(self) -> float:
        """Requests per second."""
        return math.inf if self.flags.request_rate is None else self.flags.request_rate

    @property
    def burstiness(self) -> float:
        """Of gamma arrivals."""
        return BURSTINESS if self.flags.burstiness is None else self.flags.burstiness

    @cached_property
    def facts(self) -> dict[str, object]:
        """What was asked for, under vLLM-Omni's names where it has some, to stand beside the figures."""
        flags, config = self.flags, self.config
        return {
            "endpoint": config.endpoint.name,
            "model": flags.model,
            "dataset": flags.dataset,
            "dataset_sha256": self.loaded.sha256,
            "task": self.task,
            "bot_task": flags.bot_task,
            "requests": len(config.requests),
            "base_url": config.server.public_url,
            "request_rate": None if self.arrivals == TRACE or math.isinf(self.rate) else self.rate,
            "arrivals": self.arrivals if self.arrivals == TRACE or math.isfinite(self.rate) else AT_ONCE,
            "speed": flags.speed if self.arrivals == TRACE else None,
            "burstiness": self.burstiness if self.arrivals_at_rates == "gamma" else None,
            "max_concurrency": flags.max_concurrency,
            "repeats": flags.repeats,
            "load_seed": flags.seed or 0,
            **load_facts_of(
                config.requests,
                default_inputs=config.options.default_inputs,
                controlnet_images=config.options.controlnet_images,
            ),
            "extra_body": config.options.extra_body,
            "options": {name: value for name in OPTIONS if (value := getattr(flags, name))},
            "retries": flags.retries,
            "warmup_requests": flags.warmup_requests,
            "checked": flags.check,
            "bench_version": __version__,
        }

    def timed(
        self, *, rate: float | None = None, max_concurrency: int | None = None, turn: int = 0, prefix: str = ""
    ) -> RunConfig:
        """Return the plan with times, at another rate or limit if one is given.

        Each turn draws its own; prompts, seeds and shapes stay. Requests get ids of their own by `prefix`, and with
        repeats by the turn.
        """
        requests = self._at_their_times(turn) if rate is None else self._at_rate(rate, turn)
        prefix += f"run{turn + 1}-" if self.flags.repeats > 1 else ""
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
        """Raise Misuse for flags that say when requests are due, where something else sets rates."""
        if self.flags.request_rate is not None:
            raise Misuse("--request-rate does not count where rates are searched or swept over; leave it out.")
        if self.arrivals_at_rates == TRACE:
            raise Misuse("--arrivals trace has times of its own, and no rate can be set; leave it out.")
        self._check_speed(is_replayed=False)

    def _at_their_times(self, turn: int) -> Sequence[LoadRequest]:
        if self.flags.burstiness is not None and math.isinf(self.rate):
            raise Misuse("--burstiness is of arrivals at a rate; set it with --request-rate.")
        self._check_speed(is_replayed=self.arrivals == TRACE)
        if self.arrivals != TRACE:
            return self._at_rate(self.rate, turn)
        if self.flags.request_rate is not None:
            raise Misuse("--arrivals trace has times of its own, and no --request-rate; leave one of them out.")
        if not self.loaded.has_times:
            raise Misuse("--arrivals trace needs a trace whose requests all have a time; set --request-rate.")
        return replay_at_speed(self.loaded.requests, self.flags.speed)

    def _check_speed(self, *, is_replayed: bool) -> None:
        if self.flags.speed != 1 and not is_replayed:
            raise Misuse("--speed is of a trace's own times, which are not used here; leave it out.")

    def _at_rate(self, rate: float, turn: int) -> Sequence[LoadRequest]:
        process = arrival_process(self.arrivals_at_rates, burstiness=self.burstiness)
        return arrive_at_rate(
            self.loaded.requests, process, rate, rng=np.random.default_rng([self.flags.seed or 0, 1, turn])
        )


def load_spec_of(flags: LoadFlags, *, notify: Notify) -> LoadSpec:
    """Return what the flags ask for.

    Raises:
        Misuse: for flags that cannot be, or not together.
        BadLoad, TraceError: for what is wrong with the dataset.
    """
    task = _task(flags)
    server, endpoint = _server(flags), endpoint_for(task, flags.endpoint or _of_backend(flags.backend))
    extra = _extra(flags.extra_body)
    _check_judgement(flags)
    if flags.burstiness is not None and flags.arrivals not in {None, "gamma"}:
        raise Misuse(f"--burstiness is of gamma arrivals, and not of --arrivals {flags.arrivals}; leave one out.")
    loaded = read(flags.dataset, _wanted(flags, task))
    options = request_options_of(flags, extra, task=task, requests=loaded.requests)
    for note in (*loaded.notes, *check_compatible(loaded.requests, options, endpoint)):
        notify(note)
    if flags.slo_ms is not None:
        loaded = replace(loaded, requests=_bound(loaded.requests, flags.slo_ms / 1000))
    if flags.slo:
        _check_estimable(flags, {request.shape for request in loaded.requests if request.deadline_s is None})
    config = RunConfig(
        server=server,
        endpoint=endpoint,
        options=options,
        requests=loaded.requests,
        max_concurrency=flags.max_concurrency,
        retries=flags.retries,
        warm_up_rounds=flags.warmup_requests,
        warm_up_steps=flags.warmup_num_inference_steps,
        warm_up_concurrency=flags.warmup_concurrency,
        estimator=flags.slo_estimator if flags.slo else None,
        slo_scale=flags.slo_scale,
        checks_pictures=flags.check,
        decode=_decode() if endpoint.name == Videos.name else None,
        scores_scenes=loaded.is_of_scenes,
        save_to=_made(flags.save_dir),
    )
    return LoadSpec(flags=flags, config=config, loaded=loaded, task=task)


def _decode() -> Decode | None:
    """Return what decodes videos; PyAV is an extra, without which a run does with less."""
    try:
        from safelight.bench.media.decoding import frames_of  # noqa: PLC0415 - PyAV is an extra
    except ModuleNotFoundError:
        return None
    return frames_of


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _check_judgement(flags: LoadFlags) -> None:
    _check_positive("--slo-scale", flags.slo_scale)
    if flags.slo_ms is not None:
        _check_positive("--slo-ms", flags.slo_ms)
    if flags.slo_estimator not in ESTIMATORS:
        known = [*ESTIMATORS]
        raise Misuse(f"--slo-estimator is {shorten(flags.slo_estimator)}; {nearest(flags.slo_estimator, known)}")


def _check_estimable(flags: LoadFlags, shapes: Collection[Shape]) -> None:
    """Raise Misuse or BadLoad where no deadlines can be estimated."""
    if shapes and not flags.warmup_requests:
        raise Misuse("--slo estimates deadlines from warm-ups; allow some with --warmup-requests.")
    for shape in shapes:
        step_tiles(shape)


def _bound(requests: Sequence[LoadRequest], deadline_s: float) -> Sequence[LoadRequest]:
    """Return requests, of which those that have no deadline get this one."""
    return [
        request if request.deadline_s is not None else msgspec.structs.replace(request, deadline_s=deadline_s)
        for request in requests
    ]


def _task(flags: LoadFlags) -> Task:
    for task in TASKS:
        if task == flags.task:
            return task
    raise Misuse(f"--task is {shorten(flags.task)}; {nearest(flags.task, TASKS)}")


def _of_backend(backend: str | None) -> str | None:
    if backend is None:
        return None
    if backend not in BACKENDS:
        raise Misuse(f"--backend is {shorten(backend)}; {nearest(backend, [*BACKENDS])}")
    return BACKENDS[backend]


def _wanted(flags: LoadFlags, task: Task) -> DatasetOptions:
    return DatasetOptions(
        task=task,
        count=flags.num_prompts,
        path=flags.dataset_path,
        sources=Sources.of(os.environ),
        shape=Shape(flags.width, flags.height, flags.num_frames, flags.num_inference_steps),
        seed=flags.seed,
        fps=flags.fps,
        has_negative_prompts=flags.enable_negative_prompt,
        profiles=flags.random_request_config,
        uses_adapters=flags.adapters,
        is_lenient=flags.lenient,
        rng=np.random.default_rng([flags.seed or 0, 0]),
    )


def _server(flags: LoadFlags) -> Server:
    _check_positive("--timeout", flags.timeout)
    _check_positive("--connect-timeout", flags.connect_timeout)
    headers = dict(_header(word) for word in flags.header or ())
    if flags.api_key:
        _check_key(flags.api_key)
        headers.setdefault("Authorization", f"Bearer {flags.api_key}")
    return Server(
        url=_without_version(flags.base_url or f"http://{_host(flags.host)}:{flags.port}"),
        headers=headers,
        timeout_s=flags.timeout,
        connect_timeout_s=flags.connect_timeout,
        connections=flags.connections,
        is_trusted=flags.insecure,
    )


def _check_key(key: str) -> None:
    """Raise Misuse, which does not show the key."""
    location = next((number for number, each in enumerate(key, 1) if not each.isprintable()), None)
    if location is not None:
        raise Misuse(
            f"--api-key, or SAFELIGHT_API_KEY, has a character that cannot be sent, {shorten(key[location - 1])}, "
            f"as number {location} of {len(key)}; leave it out."
        )


def _host(name: str) -> str:
    """Return a host as it stands in addresses: those of IPv6 in brackets."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _without_version(url: str) -> str:
    """Return an address without the `/v1` that OpenAI's clients want at its end; endpoints have their own."""
    return url.rstrip("/").removesuffix("/v1")


def _header(word: str) -> tuple[str, str]:
    name, colon, value = word.partition(":")
    if not colon or not name.strip() or not (name + value).isprintable():
        raise Misuse(f"--header {shorten(word)} is no header; write NAME:VALUE.")
    return name.strip(), value.strip()


def _extra(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    return read_json(text, dict[str, object], location="--extra-body is no JSON object")


def _check_positive(option: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise Misuse(f"{option} is {value}; it must be a positive number.")
