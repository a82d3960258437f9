"""Wire types of the queue routes."""

from typing import Literal

from pydantic import BaseModel


class QueueEntry(BaseModel):
    """One waiting or running picture.

    `position` counts from 1 over the waiting pictures of all tenants, and is null for a running one. `preview` is a PNG
    data URL of its latest state.
    """

    id: str
    tenant: str | None
    prompt: str
    model: str
    state: Literal["waiting", "running"]
    position: int | None
    step: int
    steps: int
    age_s: float
    expected_s: float | None
    worker: str | None
    preview: str | None


class WorkerEntry(BaseModel):
    """One worker process and how many pictures it holds."""

    name: str
    models: list[str]
    rows: int
    state: Literal["starting", "ready", "suspected"]


class LevelsEntry(BaseModel):
    """How many pictures of cascades these models have painted, in order."""

    levels: list[str]
    pictures: int


class QueueView(BaseModel):
    """Answer of `GET /v1/queue`: the pictures of the caller's tenant, or all of them for an administrator.

    All other numbers are over the pictures of all tenants; rates, latencies and
    levels are over the last minute.
    """

    requests: list[QueueEntry]
    workers: list[WorkerEntry]
    waiting: int
    running: int
    throughput_per_s: float
    latency_p50_s: float | None
    latency_p95_s: float | None
    levels: list[LevelsEntry]


class Cancellation(BaseModel):
    """Answer of `POST /v1/queue/{id}/cancel`."""

    id: str
    state: Literal["cancelled"] = "cancelled"
