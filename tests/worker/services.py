"""ControlNet services for tests: in a thread of this process, and as the process that a server starts."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

from safelight.core.frames import decode_event, read_body
from safelight.core.work import Ready
from safelight.diffusion.placement import ON_CPU
from safelight.worker.controlnet_service.service import ControlNets, ControlNetService, listen


@contextmanager
def service_in_thread(address):
    """A service in a thread, which ends with the block."""
    service = ControlNetService(listen(address), ControlNets(ON_CPU))
    try:
        yield service
    finally:
        service.close()


class ServiceProcess:
    """The service as a server starts it; `start` gives it a successor at the same address."""

    def __init__(self, address):
        self.address = address
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        with self.starting():
            pass

    @contextmanager
    def starting(self):
        """Start it, and wait at the end of the block until it takes connections."""
        argv = [sys.executable, "-m", "safelight.worker.controlnet_service", "--socket", str(self.address)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        yield
        assert isinstance(decode_event(read_body(self._process.stdout)), Ready)

    def kill(self):
        self._process.kill()
        self._process.communicate()

    @contextmanager
    def hanging(self):
        """Let it do nothing within the block."""
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def end(self):
        """Close its input, and return its exit status."""
        self._process.communicate()
        return self._process.returncode
