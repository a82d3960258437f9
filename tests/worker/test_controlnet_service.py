"""ControlNets in a process of their own steer as they do beside the model, and nothing odd ends that process."""

import json
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from diffusion.controlnets.test_controlnets import CASES, CASES_BY_NAME, OTHER, PROMPT, Model
from fakes.live_server import eventually
from safelight.core.errors import AdapterFileError, AdapterLost, ControlNetServiceEnded, ControlNetServiceLost
from safelight.core.frames import frame, read_body
from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals
from safelight.worker.controlnet_service.messages import (
    Compute,
    Ended,
    Load,
    Loaded,
    decode_response,
    pack_inputs,
    pack_residuals,
    unpack_inputs,
    unpack_residuals,
)
from safelight.worker.controlnet_service.remote import LOAD_TRIES, Patience, RemoteControlNet
from safelight.worker.controlnet_service.service import listen
from worker.services import ServiceProcess, service_in_thread

# diffusers' class of ControlNets for FLUX calls another of its own by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")

PENDING_CONTROL = Path(__file__).parents[1] / "fakes" / "pending_controlnet.py"
SHORT = Patience(start_s=0.2, load_s=0.5)
IMPATIENT = Patience(answer_s=0.5)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    @cache
    def make(name):
        with torch.inference_mode():
            return Model(CASES_BY_NAME[name], tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


@pytest.fixture
def address(tmp_path):
    return tmp_path / "controls"


@pytest.fixture
def service(address):
    with service_in_thread(address) as service:
        yield service


def load(address, model, name="a", **patience):
    return RemoteControlNet.load(address, model.paths[name], model.family.controlnet_base, **patience)


def predict(model, nets):
    """Return what is predicted for rows with one ControlNet, with both in either order, and with none."""
    a, b = model.control("a", 0.8), model.control("b", 1.2, seed=2)
    uses = [[a], [b, a], [], [a, b]]
    times = torch.tensor([900.0, 100.0, 500.0, 300.0])
    return model.predict(model.noise(4), times, [PROMPT, OTHER, None, PROMPT], uses, nets)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.usefixtures("service")
def test_all_kinds_steer_bit_for_bit_as_they_do_beside_the_model(models, address, case):
    model = models(case.name)
    nets = {name: load(address, model, name) for name in "ab"}
    assert torch.equal(predict(model, nets), predict(model, model.nets))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("pooled", [True, False])
def test_tensors_come_back_as_they_were(dtype, pooled):
    luck = torch.Generator().manual_seed(1)
    whole = torch.randn(4, 6, generator=luck).to(dtype)
    inputs = ControlNetInputs(
        latents=whole[:, :3],
        times=whole[:, 0],
        contexts=whole.T,
        pooled=whole[1:] if pooled else None,
        guidance=whole[:, 1],
        hints=whole[1:2].expand(3, -1),
        scales=whole[:, 2],
    )
    back = unpack_inputs(pack_inputs(inputs), device=torch.device("cpu"))
    assert (back.pooled is None) == (inputs.pooled is None)
    residuals = Residuals(early=tuple(whole[:, [place % 6]] for place in range(12)), late=(whole.T,))
    again = unpack_residuals(pack_residuals(residuals), device=torch.device("cpu"))
    assert again.depth == residuals.depth
    sent = [*vars(inputs).values(), *residuals.early, *residuals.late]
    got = [*vars(back).values(), *again.early, *again.late]
    pairs = [(one, other) for one, other in zip(sent, got, strict=True) if one is not None]
    assert all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)


def test_workers_share_the_weights(models, service, address):
    model = models("sd")
    one, other = load(address, model), load(address, model)
    assert service.nets.weights_bytes == one.weights_bytes == other.weights_bytes == model.nets["a"].weights_bytes


def test_weights_stay_until_the_last_worker_lets_them_go(models, service, address):
    model = models("sd")
    one, other = load(address, model), load(address, model)
    del one
    assert torch.equal(predict(model, model.nets | {"a": other}), predict(model, model.nets))
    assert service.nets.weights_bytes == model.nets["a"].weights_bytes
    del other
    eventually(lambda: service.nets.weights_bytes == 0)


def test_a_folder_that_has_changed_holds_another_controlnet(models, address, service, tmp_path):
    model = models("sd")
    folder = shutil.copytree(model.paths["a"], tmp_path / "net")
    before = RemoteControlNet.load(address, folder, model.family.controlnet_base)
    shutil.rmtree(folder)
    shutil.copytree(model.paths["b"], folder)
    after = RemoteControlNet.load(address, folder, model.family.controlnet_base)
    assert torch.equal(predict(model, {"a": before, "b": after}), predict(model, model.nets))
    assert service.nets.weights_bytes == before.weights_bytes + after.weights_bytes


def without_weights(model, folder):
    shutil.copy(model.paths["a"] / "config.json", folder)


def of_another_family(model, folder):
    config = json.loads((model.paths["a"] / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "SD3ControlNetModel"}))


def too_wide(model, folder):
    shutil.copytree(model.misfit(folder / "made", cross_attention_dim=64), folder, dirs_exist_ok=True)


def cut_short(model, folder):
    shutil.copytree(model.paths["a"], folder, dirs_exist_ok=True)
    file = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["controlnet_mid_block.weight"]
    save_file(weights, file)


def with_weights_elsewhere(model, folder):
    shutil.copytree(model.paths["a"], folder, dirs_exist_ok=True)
    file = folder / "diffusion_pytorch_model.safetensors"
    file.unlink()
    file.symlink_to(folder / "nothing")


SPOILS = (lambda *_: None, without_weights, of_another_family, too_wide, cut_short, with_weights_elsewhere)


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.usefixtures("service")
def test_a_bad_folder_is_refused_in_the_words_of_a_worker_that_loads_it_itself(models, address, tmp_path, spoil):
    model, folder = models("sd"), tmp_path / "net"
    folder.mkdir()
    spoil(model, folder)
    with pytest.raises(AdapterFileError) as here:
        model.load(folder)
    with pytest.raises(AdapterFileError) as there:
        RemoteControlNet.load(address, folder, model.family.controlnet_base)
    assert str(there.value) == str(here.value)


@pytest.mark.usefixtures("service")
def test_only_this_user_may_connect(address):
    assert stat.S_IMODE(address.stat().st_mode) == 0o600


def speak(address, *frames):
    """Send bytes on a new connection, end it, and return the answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(address))
        connection.sendall(b"".join(frames))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return [decode_response(body) for body in iter(lambda: read_body(stream), None)]


def loading(model, name="a"):
    return frame(Load(folder=str(model.paths[name]), base=model.family.controlnet_base))


@given(junk=st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_gets_an_error_for_an_answer_and_the_service_goes_on(models, service, address, junk):
    model = models("sd")
    answers = speak(address, struct.pack(">I", len(junk)), junk)
    assert all(isinstance(answer, Ended) for answer in answers)
    assert [type(answer) for answer in speak(address, loading(model))] == [Loaded]


def steering(tensors, number=1):
    return frame(Compute(number=number, tensors=tensors))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (b"", "SafetensorError"),
        (b"\xff" * 64, "SafetensorError"),
        (pack_residuals(Residuals(early=(torch.ones(1),))), "early.0"),
    ],
)
@pytest.mark.usefixtures("service")
def test_tensors_that_are_none_end_the_connection_with_the_reason(models, address, tensors, words):
    loaded, ended = speak(address, loading(models("sd")), steering(tensors), steering(tensors))
    assert isinstance(loaded, Loaded)
    assert words in ended.reason


@pytest.mark.usefixtures("service")
def test_questions_out_of_turn_end_the_connection(models, address):
    assert "Compute comes out of turn" in speak(address, steering(b""))[0].reason
    assert "Load comes out of turn" in speak(address, loading(models("sd")), loading(models("sd")))[1].reason


@pytest.mark.usefixtures("service")
def test_a_base_of_no_known_kind_ends_the_connection(address):
    base = ControlNetBase(architecture="NoSuchModel", denoiser={}, downscale=8)
    assert isinstance(speak(address, frame(Load(folder="/", base=base)))[0], Ended)


@pytest.mark.usefixtures("service")
def test_what_the_service_cannot_load_is_refused_as_a_worker_would_that_loads_it_itself(models, address):
    model = models("sd")
    base = replace(model.family.controlnet_base, denoiser={})
    with pytest.raises(AdapterFileError, match=r"^It cannot be read \(KeyError: .*\)\.$"):
        RemoteControlNet.load(address, model.paths["a"], base)


def test_a_controlnet_whose_load_ends_the_service_each_time_is_named(models, address):
    def end():
        for _ in range(LOAD_TRIES):
            end_while_loading(address)

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(ControlNetServiceEnded, match="The ControlNet service ended 2 times while it loaded 'a'"):
        load(address, models("sd"))
    ending.join()


def test_a_service_that_still_takes_connections_while_it_ends_is_counted_once(models, address):
    model = models("sd")
    with listen(address) as lingering:
        loading = ThreadPoolExecutor(1).submit(load, address, model)
        connection, _ = lingering.accept()
        with connection, connection.makefile("rb") as requests:
            read_body(requests)
        with service_in_thread(address):
            assert loading.result().weights_bytes > 0


def end_while_loading(address):
    """Be a service that ends when it is to load a ControlNet."""
    with listen(address) as listener:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as requests:
            read_body(requests)


@pytest.mark.usefixtures("service")
def test_the_service_says_why_it_cannot_compute(models, address):
    model = models("sd")
    net = load(address, model)
    recorded = []
    predict(model, model.nets | {"a": Recorded(model.nets["a"], recorded)})
    misshapen = ControlNetInputs(**(vars(recorded[0]) | {"contexts": torch.ones(1, 1, 1)}))
    with pytest.raises(ControlNetServiceLost, match="The ControlNet service failed: RuntimeError"):
        net.start(misshapen)()


class Recorded:
    """A ControlNet that keeps what it is given."""

    def __init__(self, net, inputs):
        self._net, self._inputs = net, inputs

    def start(self, inputs):
        self._inputs.append(inputs)
        return self._net.start(inputs)


@pytest.mark.usefixtures("service")
def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(models, address):
    model = models("sd")
    net, recorded = load(address, model), []
    predict(model, model.nets | {"a": Recorded(model.nets["a"], recorded)})
    (inputs,) = recorded
    net.start(ControlNetInputs(**(vars(inputs) | {"latents": inputs.latents + 1})))
    assert all(map(torch.equal, net.start(inputs)().early, model.nets["a"](inputs).early))


def test_a_service_that_never_starts_is_given_up_in_time(models, address):
    with pytest.raises(ControlNetServiceLost, match="does not answer in time"):
        load(address, models("sd"), patience=SHORT)


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    with ServiceProcess(tmp_path_factory.mktemp("service") / "controls") as process:
        yield process


def lost(model, nets):
    with pytest.raises(AdapterLost) as caught:
        predict(model, nets)
    return caught.value


def test_when_it_is_killed_the_controlnet_that_misses_it_is_named_and_workers_wait_for_the_successor(models, process):
    model = models("sd")
    nets = {name: load(process.address, model, name) for name in "ab"}
    process.kill()
    error = lost(model, nets)
    assert (error.handle.name in nets, str(error)) == (True, "The ControlNet service has ended.")
    with process.starting():
        again = {name: load(process.address, model, name) for name in "ab"}
    assert torch.equal(predict(model, again), predict(model, model.nets))


def test_a_service_that_hangs_is_given_up_in_time(models, process):
    model = models("sd")
    nets = model.nets | {"b": load(process.address, model, "b", patience=IMPATIENT)}
    with process.hanging():
        error = lost(model, nets)
        with pytest.raises(ControlNetServiceLost, match="does not answer in time"):
            load(process.address, model, patience=SHORT)
    assert (error.handle.name, str(error)) == ("b", "The ControlNet service does not answer in time.")


def test_the_process_ends_with_its_input(tmp_path):
    with ServiceProcess(tmp_path / "controls") as process:
        assert process.end() == 0


@pytest.mark.parametrize(("within_s", "status"), [(0.05, 1), (600, 0)])
def test_a_call_that_hangs_ends_the_process(within_s, status):
    program = (
        "import time; from safelight.worker.controlnet_service.watch import watched\n"
        f"with watched({within_s}): time.sleep({600 if status else 0})"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (ended.returncode, "Timeout" in ended.stderr) == (status, bool(status))


def test_residuals_that_never_come_end_the_process_though_the_call_returned(models, address):
    names = ("latents", "times", "contexts", "guidance", "hints", "scales")
    inputs = ControlNetInputs(pooled=None, **{name: torch.ones(1) for name in names})
    argv = [sys.executable, str(PENDING_CONTROL), str(address)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            net = load(address, models("sd"), patience=Patience(answer_s=20.0))
            with pytest.raises(ControlNetServiceLost, match="has ended"):
                net.start(inputs)()
        finally:
            process.kill()
        words = process.communicate()[1]
    assert (process.returncode, "Timeout" in words) == (1, True)
