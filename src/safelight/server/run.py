"""A server from start to end: listen, serve, drain on the first signal, end on the second."""

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from safelight.server.app import make_app
from safelight.server.errors import PortTaken
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
    log = log or make_log(level=settings.log_level, form=settings.log_form)
    listener = listen(settings.host, settings.port)
    with listener, _library_logs(log):
        app = make_app(settings, log)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=CLOSING_S,
        )
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            run = _Run(settings=settings, app=app, server=uvicorn.Server(config), listener=listener, log=log)
            return runner.run(run.to_the_end(on_ready))


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
    handler.addFilter(Seldom("opentelemetry."))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


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
        gc.collect()
        gc.freeze()  # what the imports have made stays for ever: no collection has to look at it again
        state: ServerState = self.app.state.server
        serving = asyncio.create_task(self.server.main_loop())
        announcing = asyncio.create_task(self._announce(state, on_ready))
        lost = await self._until_signalled(state, signals)
        announcing.cancel()
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
        self.log.info("server ready", url=url, models=list(state.service.models))
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
