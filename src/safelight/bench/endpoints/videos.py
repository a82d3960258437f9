"""`/v1/videos`: creates a job, polls it until it ends, fetches its file, and deletes it."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

import aiohttp
import msgspec

from safelight.bench.client.http_client import BACKGROUND_S, HttpClient, clock_s
from safelight.bench.client.responses import decode_json, error_text, missing_picture
from safelight.bench.endpoints.edits import add_file, form_of
from safelight.bench.endpoints.endpoint import RequestOptions, ServerMetrics, common_fields, inputs_for, result_of
from safelight.bench.failures import Failure
from safelight.bench.media.inputs import InputKind
from safelight.bench.records import GenerationResult
from safelight.bench.requests import LoadRequest

PATH = "/v1/videos"
SHARE_OF_AGE = 0.05
"""The interval between polls as a share of the job's age, which limits how much polling adds to the latency."""

SOONEST_S, LATEST_S = 0.02, 0.5
FAILED_STATES = {"failed", "error", "cancelled", "canceled", "expired", "incomplete", "rejected"}
"""States of a job that has failed."""

_IS_ID = re.compile(r"(?!\.{1,2}$)[!-.0-~]{1,200}").fullmatch
"""Matches ids that are safe as a part of a path."""


class _Job(msgspec.Struct):
    id: str | None = None
    status: str | None = None
    error: object = None
    stage_durations: object = None
    peak_memory_mb: object = None
    inference_time_s: object = None


@dataclass(frozen=True)
class Videos:
    """Videos from prompts, pictures or videos."""

    name: ClassVar[str] = PATH
    input_kinds: ClassVar[frozenset[InputKind]] = frozenset({"picture", "video"})
    takes_several_inputs: ClassVar[bool] = False
    returns_videos: ClassVar[bool] = True

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return the answer; raises Failure."""
        job = await _create_job(request, options, client, until_s)
        job_path = f"{PATH}/{quote(job.id or '', safe='')}"
        try:
            job = await _wait_for_job(job, job_path, client, until_s)
            response = await client.exchange("GET", f"{job_path}/content", until_s=until_s)
        except Failure as failure:
            if failure.kind != "timeout":
                raise
            raise Failure("timeout", f"the job was not done within {client.server.timeout_s:g} s") from None
        finally:
            client.run_in_background(_delete_job(job_path, client))
        if not response.content:
            raise Failure("no_picture", "the video has no bytes")
        metrics = ServerMetrics(
            stage_durations=job.stage_durations,
            peak_memory_mb=job.peak_memory_mb,
            inference_time_s=job.inference_time_s,
        )
        found = result_of([response.content], response.done_s, [metrics])
        found.is_video = True
        return found


async def _create_job(request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float) -> _Job:
    fields, inputs = _fields(request, options), inputs_for(request, options)
    if options.video_as_json:
        reference = {"input_reference": inputs[0].url} if inputs else {}
        response = await client.post_json(PATH, fields | reference, until_s=until_s)
    else:
        form: aiohttp.FormData = form_of(fields)
        if inputs:
            add_file(form, "input_reference", inputs[0])
        response = await client.exchange("POST", PATH, data=form, until_s=until_s)
    job = decode_json(response, _Job)
    if not job.id or not _IS_ID(job.id):
        raise missing_picture(response, "job")
    return job


def _fields(request: LoadRequest, options: RequestOptions) -> dict[str, object]:
    shape = request.shape
    found = {
        "prompt": request.prompt,
        "height": shape.height,
        "width": shape.width,
        "num_frames": shape.frames,
        "fps": request.fps,
    }
    model = {} if options.model == RequestOptions.model else {"model": options.model}
    return model | {name: value for name, value in found.items() if value is not None} | common_fields(request, options)


async def _wait_for_job(job: _Job, job_path: str, client: HttpClient, until_s: float) -> _Job:
    began_s, server_s = clock_s(), None
    while job.status != "completed":
        if job.status in FAILED_STATES:
            raise Failure("job_failed", f"{job.status}: {error_text(job.error) or 'the server does not tell why'}")
        pause_s = min(LATEST_S, max(SOONEST_S, SHARE_OF_AGE * (clock_s() - began_s)))
        pause_s = pause_s if server_s is None else min(server_s, pause_s * 4)
        await asyncio.sleep(min(pause_s, until_s - clock_s()))
        response = await client.exchange("GET", job_path, until_s=until_s)
        job, server_s = decode_json(response, _Job), _server_pause_s(response.headers)
    return job


def _server_pause_s(headers: Mapping[str, str]) -> float | None:
    value = headers.get("openai-poll-after-ms", "")
    return float(value) / 1000 if value.isascii() and value.isdigit() else None


async def _delete_job(job_path: str, client: HttpClient) -> None:
    """Delete the job; the video counts even if that fails."""
    with suppress(Failure):
        await client.exchange("DELETE", job_path, until_s=clock_s() + BACKGROUND_S)
