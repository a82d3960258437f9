"""Pictures by workers whose ControlNets are at a ControlNet service: the same ones, whatever becomes of it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

import safelight
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.pixels import Pixels
from safelight.core.work import Finished, Run
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job, paint
from safelight.shapes.controls import CONTROLS
from safelight.shapes.sampling import draw_scene
from safelight.worker.controlnet_service.remote import RemoteControlNet
from worker.players import add, after_steps, handle, play
from worker.services import ServiceProcess, service_in_thread

MODELS = Path(safelight.__file__).parent / "models"
BOTH = ("edges", "mask")
ADAPTERS = (*BOTH, "rose")


@pytest.fixture(scope="module")
def wishes():
    """Requests of one model: steered by one ControlNet, by both, and by none but with a LoRA."""
    scene = draw_scene(np.random.default_rng(3), objects=2)

    def control(name):
        height, width, _ = (picture := CONTROLS[name](scene)).shape
        return ControlNetUse(name=name, scale=1.0, image=Pixels(width=width, height=height, rgb=picture.tobytes()))

    edges, mask = control("edges"), control("mask")
    lora = LoraUse(name="rose", scale=1.0)
    return {"one": {"controlnets": (edges,)}, "both": {"controlnets": (mask, edges)}, "none": {"loras": (lora,)}}


def engine_of(address=None):
    remote = address and (lambda folder, base: RemoteControlNet.load(address, folder, base))
    return DiffusionEngine.load([MODELS / "shapes-large"], max_denoiser_rows=1, load_controlnet=remote)


def jobs_of(engine, wishes):
    plain = make_job(engine.models, "a large red circle", model="shapes-large", seed=1)
    level = msgspec.structs.replace(plain.level, steps=6)
    requests = [msgspec.structs.replace(plain.request, id=name, **wish) for name, wish in wishes.items()]
    return [
        msgspec.structs.replace(plain, request=each, level=level, adapters=tuple(map(handle, each.adapters)))
        for each in requests
    ]


def paint_in_one_batch(engine, wishes):
    """Return the pictures of all wishes by name, without a worker's loop."""
    for name in ADAPTERS:
        engine.load_adapter(handle(name), engine.read_adapter(name, MODELS / "adapters" / name)[1])
    return dict(zip(wishes, paint(engine, jobs_of(engine, wishes)), strict=True))


@pytest.fixture(scope="module")
def pictures(wishes):
    return paint_in_one_batch(engine_of(), wishes)


@pytest.mark.parametrize(("load", "expected"), [(RemoteControlNet.load, ["edges", "mask"]), (None, [])])
def test_what_a_service_loads_is_known_before_it_is_read(load, expected):
    engine = DiffusionEngine([], load_controlnet=load)
    assert [name for name in ADAPTERS if engine.is_remote(MODELS / "adapters" / name)] == expected


def test_two_workers_that_share_a_service_paint_the_same_pictures_to_the_bit(wishes, pictures, tmp_path):
    with service_in_thread(tmp_path / "controls") as service, ThreadPoolExecutor(2) as workers:
        engines = [engine_of(tmp_path / "controls") for _ in range(2)]
        assert list(workers.map(paint_in_one_batch, engines, [wishes] * 2)) == [pictures] * 2
        nets = [engine.read_adapter(name, MODELS / "adapters" / name)[1].weights for engine in engines for name in BOTH]
        assert service.nets.weights_bytes == sum(net.weights_bytes for net in nets) / 2


def test_a_service_that_is_killed_in_mid_picture_changes_no_picture(wishes, pictures, tmp_path):
    with ServiceProcess(tmp_path / "controls") as process:

        def replace():
            process.kill()
            process.start()
            return ()

        engine = engine_of(process.address)
        adapters = [msgspec.structs.replace(add(name), path=str(MODELS / "adapters" / name)) for name in ADAPTERS]
        rows = [Run(job=job) for job in jobs_of(engine, wishes)]
        events = play(engine, [*adapters, *rows], after_steps(3, "both", replace))
    painted = {event.request_id: as_array(event.picture) for event in events if isinstance(event, Finished)}
    assert painted.keys() == pictures.keys()
    # Rows come together in other batches, which may round otherwise.
    assert max(np.abs(painted[name] - as_array(pictures[name])).max() for name in pictures) <= 1


def as_array(picture):
    return np.frombuffer(picture.rgb, np.uint8).astype(int)
