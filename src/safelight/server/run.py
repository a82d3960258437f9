"""A server from start to end: listen, serve, drain on the first signal, end on the second."""

import asyncio
import contextlib
import errno
import gc
import logging
import math
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TextIO, cast

import uvicorn
from fastapi import FastAPI

from safelight.server.app import make_app
from safelight.server.connections.ledger import ConnectionLedger
from safelight.server.connections.limits import ACCEPT_BURST, fit_to_files, raise_file_limit, reserved_files
from safelight.server.connections.protocol import connection_factory
from safelight.server.errors import PortTaken
from safelight.server.log_stream import LogStream
from safelight.server.logs import ForwardToLog, Log, Seldom, make_log
from safelight.server.memory import give_large_blocks_back
from safelight.server.middleware.auth import check_bind
from safelight.server.settings import ServerSettings
from safelight.server.state import ServerState

BACKLOG = 2048
CLOSING_S = 5
"""How long finished responses may take to reach their clients at shutdown."""

SWITCH_INTERVAL_S = 0.0005
"""How long a thread that parses or encodes may keep the interpreter from the event loop, which asks for it again after
every read of a connection; Python's own 5 ms add up over connections."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(settings: ServerSettings, *, log: Log | None = None, on_ready: Callable[[str], None] = lambda _: None) -> int:
    """Serve until a signal arrives, from the main thread; returns 0, or 1 if accepted work was lost at shutdown.

    `on_ready` is called once with the server's URL, when the first worker is ready. Raises CannotServe: the address is
    unsafe or taken, or workers cannot start.
    """
    check_bind(settings)
    give_large_blocks_back()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = _fitting(settings)
    listener = listen(settings.host, settings.port)
    with listener, LogStream(sys.stderr) as stream:
        log = log or make_log(cast("TextIO", stream), level=settings.log_level, form=settings.log_form)
        app = make_app(settings, log, lost_log_lines=lambda: stream.lost)
        config = uvicorn_config(app)
        with _library_logs(log), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            run = _Run(settings=settings, app=app, server=uvicorn.Server(config), listener=listener, log=log)
            return runner.run(run.to_the_end(on_ready))


def uvicorn_config(app: FastAPI, *, loop: Literal["auto", "asyncio"] = "auto") -> uvicorn.Config:
    """Return how uvicorn serves an application of `make_app`, behind the limits of its connections."""
    ledger: ConnectionLedger = app.state.connections
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", connection_factory(ledger)),
        loop=loop,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        backlog=ACCEPT_BURST,
        timeout_keep_alive=math.ceil(ledger.limits.idle_timeout_s) + 1,  # in case that the ledger's is not enough
        timeout_graceful_shutdown=CLOSING_S,
    )


def _fitting(settings: ServerSettings) -> ServerSettings:
    """Return `settings` with no more connections than open files allow, having raised that limit if possible."""
    limits, workers = settings.connections, settings.workers
    files = raise_file_limit(limits.max_connections + reserved_files(workers))
    return replace(settings, connections=fit_to_files(limits, files=files, workers=workers))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises PortTaken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTaken(host, port, str(error.strerror)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise PortTaken(host, port, reason) from error
    return listener


@contextlib.contextmanager
def _library_logs(log: Log) -> Iterator[None]:
    """Forward warnings of libraries to `log` within the block."""
    handler = ForwardToLog(log)
    handler.setLevel(logging.WARNING)
    handler.addFilter(_is_news)
    handler.addFilter(Seldom("opentelemetry."))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn says more than that a client sent something unusual, or that the server ends."""
    is_end = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return record.name != "uvicorn.error" or (record.levelno > logging.WARNING and not is_end)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One server from its first listening socket to its exit status."""

    settings: ServerSettings
    app: FastAPI
    server: uvicorn.Server
    listener: socket.socket
    log: Log

    async def to_the_end(self, on_ready: Callable[[str], None]) -> int:
        """Serve, drain and stop; returns the exit status. Raises CannotServe."""
        signals = _Signals()
        config = self.server.config
        config.load()
        self.server.lifespan = config.lifespan_class(config)
        await self.server.startup(sockets=[self.listener])
        self.listener.listen(BACKLOG)  # uvicorn's backlog is what it accepts in one go
        gc.collect()
        gc.freeze()  # what the imports have made stays for ever: no collection has to look at it again
        state: ServerState = self.app.state.server
        serving = asyncio.create_task(self.server.main_loop())
        announcing = asyncio.create_task(self._announce(state, on_ready))
        lost = await self._until_signalled(state, signals)
        announcing.cancel()
        self.app.state.connections.end()
        self.server.should_exit = True
        await serving
        await self.server.shutdown(sockets=[self.listener])
        if state.service.collapse.done():
            raise state.service.collapse.result()
        self.log.info("server ends", lost=lost)
        return 1 if lost else 0

    async def _announce(self, state: ServerState, on_ready: Callable[[str], None]) -> None:
        await state.service.first_ready.wait()
        host, port = self.listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        connections = self.settings.connections.max_connections
        self.log.info("server ready", url=url, models=list(state.service.models), max_connections=connections)
        on_ready(url)

    async def _until_signalled(self, state: ServerState, signals: "_Signals") -> int:
        """Return when the server should end, having drained it: how many accepted pictures are lost."""
        first = asyncio.create_task(signals.first.wait())
        reasons: set[asyncio.Future[Any]] = {first, state.service.collapse}
        await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        first.cancel()
        state.service.begin_drain()
        if not state.service.collapse.done():
            self.log.info("server drains", within_s=self.settings.drain_s)
            drained = asyncio.create_task(state.service.idle())
            hurried = asyncio.create_task(signals.second.wait())
            await asyncio.wait({drained, hurried}, timeout=self.settings.drain_s, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            hurried.cancel()
        return state.service.withdraw_all()


class _Signals:
    """Notes the first and the second signal that asks the server to end."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._note)

    def _note(self) -> None:
        (self.second if self.first.is_set() else self.first).set()
