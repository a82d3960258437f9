"""Requests at a fixed rate, whatever the answers, and what became of each."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp

REFUSALS = {429, 503}
GIVE_UP_S = 180.0
SHORTEST_DEADLINE_S = 2.0
LONGEST_DEADLINE_S = 16.0
PICTURE_IDS = "x-safelight-picture-ids"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one request.

    Attributes:
        status: of HTTP; 0 if there was no answer.
        latency_s: from sending the request to the whole answer.
        seed: that was asked for, unique; `painted_seed` is the one that the answer names.
    """

    status: int
    code: str
    latency_s: float
    deadline_s: float | None
    seed: int
    painted_seed: int | None = None
    picture_id: str = ""

    @property
    def is_refused(self) -> bool:
        return self.status in REFUSALS

    @property
    def is_delivered(self) -> bool:
        """Whether the picture that was asked for came."""
        return self.status == 200 and self.painted_seed == self.seed

    @property
    def is_late(self) -> bool:
        return self.deadline_s is not None and self.latency_s > self.deadline_s


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The answers of one phase, the last of which came after `wall_s`."""

    answers: list[Answer] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def accepted(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.is_refused]

    @property
    def delivered(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.is_delivered]

    @property
    def lost(self) -> int:
        return len(self.accepted) - len(self.delivered)

    @property
    def in_time_per_s(self) -> float:
        return sum(not answer.is_late for answer in self.delivered) / max(self.wall_s, 1e-9)

    @property
    def late_share(self) -> float:
        """Of accepted requests, by the client's clock; those without a picture count as late."""
        late = sum(answer.is_late or not answer.is_delivered for answer in self.accepted)
        return late / max(1, len(self.accepted))

    @property
    def refusals_ms(self) -> list[float]:
        """In ascending order."""
        return sorted(1000 * answer.latency_s for answer in self.answers if answer.is_refused)

    @property
    def codes(self) -> dict[str, int]:
        """How many answers are not pictures, by status and code."""
        return dict(Counter(f"{answer.status} {answer.code}" for answer in self.answers if not answer.is_delivered))


class Client:
    """Sends requests for pictures, each with a seed of its own."""

    def __init__(self, url: str, *, fields: dict[str, object]) -> None:
        self._url = f"{url}/v1/images/generations"
        self._fields = fields
        self._seeds = itertools.count(1)
        self._rng = random.Random(1)

    async def at_rate(self, per_s: float, *, seconds: float, with_deadlines: bool) -> Tally:
        """Send `per_s` requests a second, at random moments, for so long, and wait for all answers."""
        tasks = []
        async with self._session() as session:
            began_s = due_s = time.perf_counter()
            while due_s < began_s + seconds:
                await asyncio.sleep(due_s - time.perf_counter())
                tasks.append(asyncio.create_task(self._ask(session, self._deadline() if with_deadlines else None)))
                due_s += self._rng.expovariate(per_s)
            answers = await asyncio.gather(*tasks)
            return Tally(answers=answers, wall_s=time.perf_counter() - began_s)

    async def at_once(self, requests: int, *, warm_up_s: float, seconds: float) -> float:
        """Keep so many requests open; returns pictures per second, over `seconds` after the warm-up."""
        begins_s = time.perf_counter() + warm_up_s

        async def repeat(session: aiohttp.ClientSession) -> int:
            painted = 0
            while time.perf_counter() < begins_s + seconds:
                is_delivered = (await self._ask(session, None)).is_delivered
                painted += is_delivered and begins_s < time.perf_counter() < begins_s + seconds
            return painted

        async with self._session() as session:
            return sum(await asyncio.gather(*(repeat(session) for _ in range(requests)))) / seconds

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=GIVE_UP_S)
        )

    def _deadline(self) -> float:
        return round(self._rng.uniform(SHORTEST_DEADLINE_S, LONGEST_DEADLINE_S), 3)

    async def _ask(self, session: aiohttp.ClientSession, deadline_s: float | None) -> Answer:
        seed = next(self._seeds)
        body = {"prompt": f"a large red circle on a white background {seed}", "seed": seed, **self._fields}
        if deadline_s is not None:
            body["deadline_s"] = deadline_s
        began_s = time.perf_counter()
        status, code, picture_id, painted_seed = 0, "", "", None
        try:
            async with session.post(self._url, json=body) as response:
                document = await response.json()
                status, picture_id = response.status, response.headers.get(PICTURE_IDS, "")
                code = document.get("error", {}).get("code", "")
                painted_seed = document.get("safelight", {}).get("seed")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            code = type(error).__name__
        return Answer(
            status=status,
            code=code,
            latency_s=time.perf_counter() - began_s,
            deadline_s=deadline_s,
            seed=seed,
            painted_seed=painted_seed,
            picture_id=picture_id,
        )


def quantile(ordered: Iterable[float], share: float) -> float:
    """Return the value below which `share` of `ordered` lies; 0 if there is none."""
    values = list(ordered)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
