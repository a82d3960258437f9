"""Who may use a server: recognizes callers by their keys, limits and logs wrong keys, and follows the keys file."""

import asyncio
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from safelight.access.caller import ANONYMOUS, Caller
from safelight.access.keys import LONGEST_KEY, KeyRing, digest_of
from safelight.access.keys_file import looseness
from safelight.access.watched_keys import KeysChange, WatchedKeys
from safelight.access.wrong_keys import WrongKeys
from safelight.core.clock import Clock
from safelight.core.log import Log
from safelight.server.access_metrics import AccessMetrics
from safelight.server.credentials import key_in
from safelight.server.errors import Problem, retry_after
from safelight.server.settings import ServerSettings

SINGLE_KEY: Final = "api-key"
"""The name of the key of `--api-key` in logs."""

SHORTEST_SAFE_KEY: Final = 16
"""Characters; a key that people can guess makes every other guard useless."""

NO_KEY = Problem(
    status=401,
    message="This server wants its API key: send it as `Authorization: Bearer KEY`, or as the password of HTTP Basic.",
    type="authentication_error",
    code="invalid_api_key",
    headers={"WWW-Authenticate": 'Basic realm="safelight", charset="UTF-8", Bearer realm="safelight"'},
)


class Access:
    """Knows the callers of one server; raises KeysFileError for a keys file that cannot be used at the start."""

    def __init__(self, settings: ServerSettings, *, clock: Clock, metrics: AccessMetrics, log: Log) -> None:
        self._single = digest_of(settings.api_key.encode()) if settings.api_key else None
        self._owner = Caller(tenant="", role="admin", key=SINGLE_KEY)
        self._keys = WatchedKeys(settings.keys) if settings.keys is not None else None
        self._check_s = settings.keys_check_s
        self._wrong = WrongKeys(per_minute=settings.wrong_keys_per_minute)
        self._clock = clock
        self._metrics = metrics
        self._log = log
        metrics.watch(is_broken=lambda: self._keys is not None and self._keys.is_broken)
        self._warn(settings.api_key)

    @property
    def needs_key(self) -> bool:
        """Whether requests without a key are refused."""
        return self._single is not None or self._keys is not None

    def identify(self, authorizations: list[bytes], peer: str) -> Caller | Problem:
        """Return who sends a request with these Authorization headers from the address `peer`, or why it is refused."""
        if not self.needs_key:
            return ANONYMOUS
        if not authorizations:
            return NO_KEY
        key = key_in(authorizations)
        caller = None if key is None else self._caller(key)
        return self._refuse(peer) if caller is None else caller

    async def watch(self) -> None:
        """Follow the keys file and report wrong keys, until cancelled."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="keys")  # a file on a network may be slow to answer
        try:
            while True:
                await asyncio.sleep(self._check_s)
                try:
                    if self._keys is not None:
                        self._tell(self._keys, await loop.run_in_executor(thread, self._keys.look))
                    self.report_wrong_keys()
                except Exception as error:  # noqa: BLE001 - whatever it is, removed keys must go on being noticed
                    self._log.error("keys not checked", reason=f"{type(error).__name__}: {error}")
        finally:
            thread.shutdown(wait=False)

    def report_wrong_keys(self, *, is_end: bool = False) -> None:
        """Log the bursts of wrong keys that have ended; all of them when the server ends."""
        for burst in self._wrong.reports(float("inf") if is_end else self._clock.now_s()):
            self._log.warning("wrong keys", peer=burst.peer, count=burst.count)

    def _caller(self, key: bytes) -> Caller | None:
        if len(key) > LONGEST_KEY:
            return None
        if self._single is not None and hmac.compare_digest(self._single, digest_of(key)):
            return self._owner
        return self._keys.ring.caller(key) if self._keys is not None else None

    def _refuse(self, peer: str) -> Problem:
        verdict = self._wrong.note(peer, self._clock.now_s())
        if verdict.is_first:
            self._log.warning("wrong key", peer=peer, count=1)
        is_limited = verdict.wait_s is not None
        self._metrics.wrong_key(is_limited=is_limited)
        return _too_many(verdict.wait_s) if verdict.wait_s is not None else NO_KEY

    def _tell(self, keys: WatchedKeys, change: KeysChange | None) -> None:
        if change is None:
            return
        if change.error is not None:
            self._metrics.file_read("refused")
            self._log.error("keys file refused", reason=str(change.error), keys_kept=len(keys.ring.entries))
            return
        self._metrics.file_read("loaded")
        ring: KeyRing = keys.ring
        self._log.info(
            "audit",
            action="reload_keys",
            result="loaded",
            keys=len(ring.entries),
            tenants=len(ring.tenants),
            added=change.added,
            removed=change.removed,
            changed=change.changed,
        )
        self._warn_if_loose(keys)

    def _warn(self, api_key: str | None) -> None:
        if api_key is not None and len(api_key) < SHORTEST_SAFE_KEY:
            self._log.warning("api key is short", least_characters=SHORTEST_SAFE_KEY)
        if self._keys is not None:
            self._warn_if_loose(self._keys)

    def _warn_if_loose(self, keys: WatchedKeys) -> None:
        mode = looseness(keys.path)
        if mode is not None:
            self._log.warning("keys file is open to others", file=str(keys.path), mode=mode)


def _too_many(wait_s: float) -> Problem:
    return Problem(
        status=429,
        message="Too many requests with a wrong key came from this address. A right key is accepted at any time.",
        type="authentication_error",
        code="too_many_wrong_keys",
        headers=retry_after(wait_s),
    )
