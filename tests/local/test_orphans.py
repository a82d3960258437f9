"""`kill -9` of a server leaves no process behind."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.live_server import eventually, null_worker_argv
from safelight.local.launch import controlnet_service_argv

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists the children")

SERVER = (
    "import ast, sys; from safelight.server.run import serve; from safelight.server.settings import ServerSettings; "
    "serve(ServerSettings(port=0, **ast.literal_eval(sys.argv[1])), on_ready=lambda url: print(url, flush=True))"
)


@contextmanager
def server(**settings):
    """A server process, which is killed at the end."""
    argv = [sys.executable, "-c", SERVER, repr(settings)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def children(process):
    """Return the children of all threads of a process."""
    listed = [path.read_text().split() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
    return [int(pid) for pids in listed for pid in pids]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def kill_and_wait(process, pids):
    process.kill()
    eventually(lambda: not any(map(is_running, pids)), within_s=5)


def test_a_stopped_worker_ends_with_the_server():
    with server(worker_argv=null_worker_argv()) as process:
        process.stdout.readline()
        pids = children(process)
        os.kill(pids[0], signal.SIGSTOP)
        kill_and_wait(process, pids)


@pytest.mark.parametrize("block", ["start", "step"])
def test_a_worker_that_never_comes_back_ends_with_the_server(tmp_path, block):
    hurdle = tmp_path / "hurdle"
    hurdle.touch()
    with server(worker_argv=null_worker_argv(blocking_file=hurdle, block=block)) as process:
        pids = eventually(lambda: children(process))
        kill_and_wait(process, pids)


def test_a_controlnet_service_that_still_starts_ends_with_the_server():
    with server(worker_argv=null_worker_argv(), controlnet_argv=controlnet_service_argv()) as process:
        process_ids = eventually(lambda: len(pids := children(process)) == 2 and pids)
        kill_and_wait(process, process_ids)


def test_without_the_kernels_help_a_worker_ends_soon_after_its_input(tmp_path):
    hurdle = tmp_path / "hurdle"
    hurdle.touch()
    argv = null_worker_argv(blocking_file=hurdle, block="start")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as worker:
        worker.stdin.close()
        assert worker.wait(20) == 1


def test_a_worker_whose_parent_has_died_before_it_began_ends_at_once():
    argv = null_worker_argv()
    gone = os.environ | {"SAFELIGHT_PARENT_PID": "1000000000"}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=gone) as worker:
        assert worker.stdout.read() == b""
        assert worker.wait(20) == 1
