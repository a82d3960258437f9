"""The real server on a free port of this machine, in a thread, with workers that paint grey."""

import asyncio
import io
import json
import sys
import threading
import time
from pathlib import Path
from typing import Self

import httpx2
import uvicorn

from safelight.server.app import make_app
from safelight.server.logs import make_log
from safelight.server.run import BACKLOG, listen, uvicorn_config
from safelight.server.settings import ServerSettings
from safelight.server.state import ServerState

NULL_WORKER = Path(__file__).with_name("null_worker.py")
PATIENCE_S = 30.0

web = httpx2.Client(verify=False, timeout=PATIENCE_S, limits=httpx2.Limits(max_keepalive_connections=0))
"""A client for all tests: plain HTTP, a new connection for each request."""


def null_worker_argv(*, step_s=0.0, **options):
    """Return the command line of a worker whose steps take `step_s`; `options` are further ones of it."""
    more = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return (sys.executable, str(NULL_WORKER), "--step-s", str(step_s), *more)


def eventually(condition, *, within_s=PATIENCE_S):
    """Wait until `condition()` is true and return what it gave; fail after `within_s`."""
    give_up_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < give_up_s, "it never happened"
        time.sleep(0.01)
    return value


class LiveServer:
    """A server that runs within a `with`; by default it is ready when the block begins."""

    def __init__(self, *, step_s=0.0, is_awaited=True, loop="asyncio", **settings):
        settings.setdefault("worker_argv", null_worker_argv(step_s=step_s))
        self.settings = ServerSettings(**settings)
        self._log_text = io.StringIO()
        self._is_awaited = is_awaited
        self._listener = listen("127.0.0.1", 0)
        self.app = make_app(self.settings, make_log(self._log_text))
        self._server = uvicorn.Server(uvicorn_config(self.app, loop=loop))
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self):
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def state(self) -> ServerState:
        return self.app.state.server

    @property
    def log(self):
        return self._log_text.getvalue()

    @property
    def waiting_and_running(self):
        return self.state.service.controller.waiting_count + self.state.service.controller.running_count

    def outcomes(self, least):
        """Return the rows of the outcome log, as soon as there are `least`: a thread writes them."""
        path = self.settings.outcomes
        eventually(lambda: path.exists() and path.read_bytes().count(b"\n") >= least)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def __enter__(self) -> Self:
        self._url = self.url
        self._thread.start()
        eventually(lambda: self._server.started)
        self._listener.listen(BACKLOG)
        if self._is_awaited:
            eventually(lambda: self.state.service.pool.ready_count == self.settings.workers)
            eventually(self.state.service.first_ready.is_set)
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the server does not end"

    def _run(self):
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve(sockets=[self._listener]))
