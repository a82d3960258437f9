"""A server process from start to end."""

import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.live_server import PATIENCE_S, eventually, web
from safelight.core.errors import CannotServe
from safelight.local.pool import WorkersCannotStart
from safelight.server.errors import PortTaken, UnsafeBind
from safelight.server.run import listen, serve
from safelight.server.settings import ServerSettings

SERVED = Path(__file__).parents[1] / "fakes" / "served.py"
ROUTE = "/v1/images/generations"


@contextmanager
def served(*, step_s=0.02, drain_s=20, arguments=()):
    """A running server process; gives it and its first line, which is the URL once it is ready."""
    argv = [sys.executable, str(SERVED), str(step_s), str(drain_s), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def painting(url, *, steps):
    """Paint within a `with`; gives a list that will hold the answer."""
    answers = []
    body = {"prompt": "x", "num_inference_steps": steps}
    asking = threading.Thread(target=lambda: answers.append(web.post(url + ROUTE, json=body, timeout=30)))
    asking.start()
    eventually(lambda: web.get(f"{url}/v1/queue").json()["requests"])
    yield answers
    asking.join()


def test_sigterm_lets_accepted_work_finish_and_exits_with_0():
    with served() as (process, url):
        with painting(url, steps=50) as answers:
            process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert answers[0].status_code == 200


def test_a_draining_server_takes_nothing_new_and_says_so():
    with served() as (process, url), painting(url, steps=100):
        process.send_signal(signal.SIGTERM)
        ready = eventually(lambda: (answer := web.get(f"{url}/health/ready")).status_code == 503 and answer)
        refused = web.post(url + ROUTE, json={"prompt": "x"})
        assert ready.json()["error"]["code"] == refused.json()["error"]["code"] == "draining"
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert web.get(f"{url}/health/live").status_code == 200


def test_an_idle_server_ends_at_once():
    with served() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_work_that_outlasts_the_drain_is_given_up_with_an_answer():
    with served(drain_s=0.1) as (process, url):
        with painting(url, steps=200) as answers:
            process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 1
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "shut_down")


def test_a_second_signal_ends_it_now():
    with served(step_s=0.1) as (process, url):
        with painting(url, steps=200) as answers:
            process.send_signal(signal.SIGTERM)
            eventually(lambda: web.get(f"{url}/health/ready").status_code == 503)
            process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 1
    assert answers[0].status_code == 503


def test_workers_that_cannot_start_end_the_server_with_their_last_words():
    with served(arguments=["--no-such-option"]) as (process, line):
        rest = process.stdout.read()
        assert process.wait(PATIENCE_S) == 1
    assert "--no-such-option" in line + rest


def serve_worker(code, **settings):
    argv = (sys.executable, "-c", code)
    serve(ServerSettings(worker_argv=argv, port=0, **settings))


def test_a_worker_that_refuses_its_model_ends_the_server_with_its_message():
    with pytest.raises(WorkersCannotStart, match=r"^The weights of 'x' are cut short\.$"):
        serve_worker(
            "import sys; print('noise', file=sys.stderr); sys.exit(\"error: The weights of 'x' are cut short.\")"
        )


def test_a_worker_program_that_is_not_there_is_named():
    with pytest.raises(WorkersCannotStart, match="no-such-program"):
        serve(ServerSettings(worker_argv=("/no-such-program",), port=0))


def test_an_occupied_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}: the port is in use"):
            listen("127.0.0.1", port)


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(PortTaken, match=r"host\.invalid"):
        listen("host.invalid", 1)


def test_an_unsafe_address_is_refused_before_anything_starts():
    with pytest.raises(UnsafeBind):
        serve(ServerSettings(worker_argv=(), host="0.0.0.0"))


def test_an_outcome_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CannotServe, match="outcome log"):
        serve(ServerSettings(worker_argv=(), port=0, outcomes=tmp_path))
