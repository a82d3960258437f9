"""One process that has the ControlNets of all workers: private, watched over, and never in the way of others."""

import base64
import io
import os
import signal
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import safelight
from fakes.live_server import LiveServer, eventually, null_worker_argv, web
from safelight.local.launch import controlnet_service_argv, worker_argv
from safelight.local.pool import WorkersCannotStart
from safelight.server.run import serve
from safelight.server.settings import ServerSettings
from safelight.shapes.controls import CONTROLS
from safelight.shapes.sampling import draw_scene

MODELS = Path(safelight.__file__).parent / "models"
NULL_CONTROLNETS = (sys.executable, str(Path(__file__).parents[1] / "fakes" / "null_controlnet.py"))
SLEEPER = (sys.executable, "-c", "import sys; sys.stdin.read()")
ROUTE = "/v1/images/generations"
STEPS = 30


def readiness(server):
    return web.get(f"{server.url}/health/ready").status_code


def test_a_server_is_not_ready_before_its_controlnet_service_is_but_paints():
    with LiveServer(controlnet_argv=SLEEPER, is_awaited=False) as server:
        eventually(lambda: server.state.service.pool.ready_count)
        answer = web.get(f"{server.url}/health/ready")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        assert "ControlNet service" in answer.json()["error"]["message"]
        assert web.post(server.url + ROUTE, json={"prompt": "x"}).status_code == 200
        assert not server.state.service.first_ready.is_set()


@pytest.fixture(scope="module")
def server():
    with LiveServer(controlnet_argv=NULL_CONTROLNETS) as server:
        yield server


def socket_of(server):
    """Return the address that the command line of a worker names."""
    worker = server.state.service.pool.members[0]
    words = Path(f"/proc/{worker.pid}/cmdline").read_bytes().decode().split("\0")
    return Path(words[words.index("--controlnet-service") + 1])


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells the command lines of processes")
def test_the_socket_is_in_a_folder_for_this_user_alone(server):
    assert stat.S_IMODE(socket_of(server).parent.stat().st_mode) == 0o700


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells the command lines of processes")
def test_the_folder_goes_with_the_server():
    with LiveServer(controlnet_argv=NULL_CONTROLNETS) as server:
        folder = socket_of(server).parent
        assert folder.exists()
    assert not folder.exists()


def test_a_controlnet_service_that_dies_is_started_again(server):
    pid = server.state.controlnets.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: readiness(server) == 503)
    eventually(lambda: readiness(server) == 200)
    assert server.state.controlnets.pid != pid
    assert '"worker":"controlnets-0.2"' in server.log
    assert "ControlNet service lost" in server.log


def test_a_controlnet_service_that_cannot_start_ends_the_server_with_its_last_words():
    words = "import sys; sys.exit('error: There is no room.')"
    settings = ServerSettings(worker_argv=null_worker_argv(), controlnet_argv=(sys.executable, "-c", words), port=0)
    with pytest.raises(WorkersCannotStart, match=r"^There is no room\.$"):
        serve(settings)


def test_a_controlnet_service_that_no_longer_starts_leaves_pictures_without_controlnets_to_the_server(tmp_path):
    obstacle = tmp_path / "obstacle"
    refusal = f"import os, sys; os.path.exists({str(obstacle)!r}) and sys.exit('error: There is no room.'); "
    program = refusal + f"import runpy; runpy.run_path({NULL_CONTROLNETS[1]!r}, run_name='__main__')"
    with LiveServer(controlnet_argv=(sys.executable, "-c", program)) as server:
        obstacle.touch()
        os.kill(server.state.controlnets.pid, signal.SIGKILL)
        eventually(lambda: '"worker":"controlnets-0.4"' in server.log)
        assert readiness(server) == 503
        assert not server.state.service.collapse.done()
        assert web.post(server.url + ROUTE, json={"prompt": "x"}).status_code == 200
        obstacle.unlink()
        eventually(lambda: readiness(server) == 200)


@pytest.fixture(scope="module")
def drawing():
    """A data URL of a control picture."""
    file = io.BytesIO()
    Image.fromarray(CONTROLS["edges"](draw_scene(np.random.default_rng(3), objects=2))).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.fixture(scope="module")
def real():
    """A worker with a model, and its ControlNet service."""
    with LiveServer(
        worker_argv=worker_argv([MODELS / "shapes-large"]),
        controlnet_argv=controlnet_service_argv("--threads", "1"),
        adapters=(MODELS / "adapters",),
        is_awaited=False,
    ) as server:
        eventually(server.state.service.first_ready.is_set, within_s=100)
        yield server


def paint(server, *controls, seed=1):
    body = {"prompt": "a red circle", "controls": list(controls), "num_inference_steps": STEPS, "seed": seed}
    return web.post(server.url + ROUTE, json=body, timeout=100)


def test_pictures_arrive_whose_controlnet_service_is_killed_meanwhile(real, drawing):
    edges = {"name": "edges", "image": drawing}
    with ThreadPoolExecutor() as clients:
        wanted = [clients.submit(paint, real, edges, seed=seed) for seed in range(4)]
        plain = clients.submit(paint, real)
        eventually(lambda: any(running.step > 1 for running in real.state.service.controller.running))
        os.kill(real.state.controlnets.pid, signal.SIGKILL)
        assert plain.result().status_code == 200
        answers = [each.result() for each in wanted]
    assert [answer.status_code for answer in answers] == [200] * 4
    undisturbed = paint(real, edges, seed=0)
    assert largest_difference(answers[0], undisturbed) <= 1
    assert largest_difference(answers[0], answers[1]) > 1


def largest_difference(*answers):
    one, other = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))).astype(int)
        for answer in answers
    )
    return np.abs(one - other).max()
