"""Reads weights of adapters into host memory while ticks run."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safelight.control.replica.events import AdapterNotRead, AdapterRead
from safelight.core.adapter import AdapterHandle
from safelight.core.errors import ControlNetServiceLost, SafelightError
from safelight.worker.engine import Engine

Post = Callable[[AdapterRead | AdapterNotRead], None]
"""Takes the result of a read, in any thread."""


class AdapterLoader:
    """Reads files in a thread of its own, so that no tick waits for the disk.

    Those that another process reads have a second thread, so that no file waits for that process.
    """

    def __init__(self, engine: Engine, *, post: Post) -> None:
        self._engine = engine
        self._post = post
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="adapters")
        self._remote_reader = ThreadPoolExecutor(1, thread_name_prefix="remote-adapters")
        self._weights: dict[AdapterHandle, Any] = {}
        for reader in (self._reader, self._remote_reader):
            reader.submit(int).result()  # starts its thread: later the system may have none left

    def read(self, handle: AdapterHandle, path: Path, *, after_s: float = 0.0) -> None:
        """Begin to read weights; the result is posted when the read is over."""
        reader = self._remote_reader if self._engine.is_remote(path) else self._reader
        reader.submit(self._read, handle, path, after_s)

    def copy(self, handle: AdapterHandle) -> None:
        """Copy weights that were read to the device."""
        self._engine.load_adapter(handle, self._weights[handle])

    def forget(self, handle: AdapterHandle) -> None:
        """Free weights in host memory."""
        self._weights.pop(handle, None)

    def close(self) -> None:
        """Stop reading."""
        for reader in (self._reader, self._remote_reader):
            reader.shutdown(wait=False, cancel_futures=True)

    def _read(self, handle: AdapterHandle, path: Path, after_s: float) -> None:
        time.sleep(after_s)
        try:
            spec, self._weights[handle] = self._engine.read_adapter(handle.name, path)
        except ControlNetServiceLost as error:
            self._post(AdapterNotRead(handle=handle, reason=str(error), is_service_lost=True))
        except SafelightError as error:
            self._post(AdapterNotRead(handle=handle, reason=str(error)))
        except Exception as error:  # noqa: BLE001 - no file, however odd, may end the worker
            reason = f"It cannot be read ({type(error).__name__}: {error})."
            self._post(AdapterNotRead(handle=handle, reason=reason))
        else:
            self._post(AdapterRead(handle=handle, spec=spec))
