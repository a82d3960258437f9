"""`/v1/videos`: a job is made, looked at until it ends, its file fetched, and the job deleted."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

import aiohttp
import msgspec

from safelight.bench.client.http_client import LATER_S, Line, clock_s
from safelight.bench.client.responses import decoded, no_picture, words_of
from safelight.bench.endpoints.edits import add_file, form_of
from safelight.bench.endpoints.endpoint import Manner, Told, options, served, starts_of
from safelight.bench.failures import Failure
from safelight.bench.media.inputs import Sort
from safelight.bench.records import Served
from safelight.bench.requests import Ask

PATH = "/v1/videos"
SHARE_OF_AGE = 0.05
"""A job is looked at again after so much of its age: how much it can seem too slow."""

SOONEST_S, LATEST_S = 0.02, 0.5
GIVEN_UP = {"failed", "error", "cancelled", "canceled", "expired", "incomplete", "rejected"}
"""States of a job that no video comes of."""

_IS_ID = re.compile(r"(?!\.{1,2}$)[!-.0-~]{1,200}").fullmatch
"""What can be put into a path, and leads nowhere else there."""


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
    takes: ClassVar[frozenset[Sort]] = frozenset({"picture", "video"})
    takes_several: ClassVar[bool] = False

    async def ask(self, ask: Ask, manner: Manner, line: Line, until_s: float) -> Served:
        """Send a request and return what came; raises Failure."""
        job = await _made(ask, manner, line, until_s)
        place = f"{PATH}/{quote(job.id or '', safe='')}"
        try:
            job = await _ended(job, place, line, until_s)
            reply = await line.exchange("GET", f"{place}/content", until_s=until_s)
        except Failure as failure:
            if failure.kind != "timeout":
                raise
            raise Failure("timeout", f"the job was not done within {line.server.timeout_s:g} s") from None
        finally:
            line.later(_forgotten(place, line))
        if not reply.content:
            raise Failure("no_picture", "the video has no bytes")
        told = Told(
            stage_durations=job.stage_durations,
            peak_memory_mb=job.peak_memory_mb,
            inference_time_s=job.inference_time_s,
        )
        found = served([reply.content], reply.done_s, [told])
        found.is_video = True
        return found


async def _made(ask: Ask, manner: Manner, line: Line, until_s: float) -> _Job:
    fields, starts = _fields(ask, manner), starts_of(ask, manner)
    if manner.video_as_json:
        reference = {"input_reference": starts[0].url} if starts else {}
        reply = await line.post_json(PATH, fields | reference, until_s=until_s)
    else:
        form: aiohttp.FormData = form_of(fields)
        if starts:
            add_file(form, "input_reference", starts[0])
        reply = await line.exchange("POST", PATH, data=form, until_s=until_s)
    job = decoded(reply, _Job)
    if not job.id or not _IS_ID(job.id):
        raise no_picture(reply, "job")
    return job


def _fields(ask: Ask, manner: Manner) -> dict[str, object]:
    shape = ask.shape
    found = {
        "prompt": ask.prompt,
        "height": shape.height,
        "width": shape.width,
        "num_frames": shape.frames,
        "fps": ask.fps,
    }
    model = {} if manner.model == Manner.model else {"model": manner.model}
    return model | {name: value for name, value in found.items() if value is not None} | options(ask, manner)


async def _ended(job: _Job, place: str, line: Line, until_s: float) -> _Job:
    began_s, told_s = clock_s(), None
    while job.status != "completed":
        if job.status in GIVEN_UP:
            raise Failure("job_failed", f"{job.status}: {words_of(job.error) or 'the server does not tell why'}")
        pause_s = min(LATEST_S, max(SOONEST_S, SHARE_OF_AGE * (clock_s() - began_s)))
        pause_s = pause_s if told_s is None else min(told_s, pause_s * 4)
        await asyncio.sleep(min(pause_s, until_s - clock_s()))
        reply = await line.exchange("GET", place, until_s=until_s)
        job, told_s = decoded(reply, _Job), _pause_told(reply.headers)
    return job


def _pause_told(headers: Mapping[str, str]) -> float | None:
    said = headers.get("openai-poll-after-ms", "")
    return float(said) / 1000 if said.isascii() and said.isdigit() else None


async def _forgotten(place: str, line: Line) -> None:
    """Delete the job; if that fails, the video counts all the same."""
    with suppress(Failure):
        await line.exchange("DELETE", place, until_s=clock_s() + LATER_S)
