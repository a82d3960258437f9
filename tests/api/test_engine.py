"""Pictures in process, by real workers with a shipped model."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.live_server import eventually
from safelight import Engine
from safelight.core.errors import (
    Cancelled,
    CannotServe,
    DeadlineUnmeetable,
    InvalidParameter,
    RequestError,
    UnknownModel,
)

PROMPT = "a large red circle on a white background"
STEPS = 6


@pytest.fixture(scope="module")
def engine():
    with Engine(["shapes-small"]) as engine:
        yield engine


def pixels(picture):
    return np.asarray(picture.image)


def test_a_call_gives_as_many_pictures_as_it_asks_for_with_their_seeds(engine):
    pictures = engine.generate(PROMPT, n=3, seed=7, steps=STEPS)
    assert [picture.seed for picture in pictures] == [7, 8, 9]
    assert {picture.image.size for picture in pictures} == {(64, 64)}


def test_the_same_seed_gives_the_same_picture_whoever_shares_the_batch(engine):
    (alone,) = engine.generate(PROMPT, seed=3, steps=STEPS)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: engine.generate(PROMPT, seed=seed, steps=STEPS)[0], range(4)))
    assert abs(pixels(together[3]).astype(int) - pixels(alone)).max() <= 1


def test_a_deterministic_engine_gives_the_same_bytes_from_each_of_its_workers_in_any_company():
    def paint(seed):
        return exact.generate(PROMPT, seed=seed % 3, steps=3 + seed % 3, negative_prompt="a star" * (seed % 2))[0]

    with Engine(["shapes-small"], workers=2, deterministic=True) as exact, ThreadPoolExecutor(12) as threads:
        alone = [paint(seed).content for seed in range(6)]
        together = [picture.content for picture in threads.map(paint, [*range(6), *range(6)])]
    assert together == [*alone, *alone]


def test_a_deterministic_engine_refuses_an_adapter_mode_that_folds():
    with pytest.raises(InvalidParameter, match="--deterministic needs adapter-mode=always-unmerged"):
        Engine(["shapes-small"], policies=["adapter-mode=payback"], deterministic=True)


def test_coroutines_share_the_workers(engine):
    async def main():
        calls = (engine.generate_async(PROMPT, seed=seed, steps=STEPS) for seed in range(3))
        return [picture.seed for (picture,) in await asyncio.gather(*calls)]

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_cancelled_coroutine_cancels_its_pictures(engine):
    controller = engine._service.controller

    async def main():
        call = asyncio.create_task(engine.generate_async(PROMPT, n=10, steps=200))
        await asyncio.to_thread(eventually, lambda: controller.running_count)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(main())
    eventually(lambda: controller.is_idle)


def test_a_picture_names_the_level_of_each_stage(engine):
    (picture,) = engine.generate(PROMPT, seed=1, steps=STEPS, sampler="euler")
    (stage,) = picture.provenance.images[0].stages
    assert (stage.level.model, stage.level.steps, stage.level.sampler) == ("shapes-small", STEPS, "euler")


def test_adapters_are_listed_and_change_the_picture(engine):
    assert "pastel-small" in {adapter.name for adapter in engine.adapters()}
    plain, styled = (
        engine.generate(PROMPT, seed=1, steps=STEPS, loras=loras)[0] for loras in ([], {"pastel-small": 0.9})
    )
    assert (pixels(plain) != pixels(styled)).any()


def test_an_edit_keeps_what_the_mask_keeps(engine, tmp_path):
    (picture,) = engine.generate(PROMPT, seed=1)
    picture.save(tmp_path / "picture.png")
    mask = Image.new("L", picture.image.size, 0)
    mask.paste(255, (32, 0, 64, 64))
    (edited,) = engine.edit("a small blue star on a white background", tmp_path / "picture.png", mask=mask, seed=2)
    difference = abs(pixels(edited).astype(int) - pixels(picture)).mean(axis=(0, 2))
    assert difference[:24].mean() < difference[40:].mean()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"steps": 0}, InvalidParameter, "steps is 0; it is a whole number from 1 to 200"),
        ({"n": 2.0}, InvalidParameter, "n is 2.0; it is a whole number from 1 to 10"),
        ({"guidance_scale": float("nan")}, InvalidParameter, "it is a number of at least 0"),
        ({"quality": "hihg"}, InvalidParameter, "did you mean 'high'"),
        ({"size": "wide"}, InvalidParameter, "write WIDTHxHEIGHT"),
        ({"model": "shapes-smal"}, UnknownModel, "did you mean 'shapes-small'"),
        ({"deadline_s": 0.0001}, DeadlineUnmeetable, "wanted within 0.0001 s"),
        ({"loras": {"pastel-small": float("inf")}}, InvalidParameter, "a scale is a finite number"),
        ({"negative_prompt": "\ud800"}, InvalidParameter, "negative_prompt .* not valid Unicode"),
        ({"on_disconnect": "finish"}, InvalidParameter, "only a server has clients"),
        ({"stesp": 3}, TypeError, "There is no option 'stesp'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(engine, options, error, says):
    with pytest.raises(error, match=says):
        engine.generate(PROMPT, **options)


def test_one_lora_can_be_given_by_its_name_alone(engine):
    (picture,) = engine.generate(PROMPT, seed=1, steps=STEPS, loras="pastel-small")
    assert [use.name for use in picture.provenance.loras] == ["pastel-small"]


def test_a_prompt_that_is_too_long_is_refused(engine):
    with pytest.raises(InvalidParameter, match="of its 4,001 characters, at most 4,000"):
        engine.generate("x" * 4001)


def test_a_prompt_that_says_nothing_is_refused(engine):
    with pytest.raises(InvalidParameter, match="prompt"):
        engine.generate("  ")


def test_a_folder_that_is_no_model_ends_the_start_with_its_reason(tmp_path):
    with pytest.raises(CannotServe, match=r"model_index\.json"):
        Engine([tmp_path])


def test_an_unknown_model_is_refused_before_anything_starts():
    with pytest.raises(RequestError, match="did you mean 'shapes-small'"):
        Engine(["shapes-smal"])


def test_an_engine_without_workers_is_refused():
    with pytest.raises(InvalidParameter, match="workers is 0"):
        Engine(["shapes-small"], workers=0)


def test_a_closed_engine_says_so_and_leaves_no_worker():
    engine = Engine(["shapes-small"])
    (worker,) = engine._service.pool.members
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.generate(PROMPT)
    assert not Path(f"/proc/{worker.pid}").exists()


@pytest.mark.parametrize("is_async", [False, True])
def test_every_call_ends_when_the_engine_is_closed_however_late_it_comes(is_async):
    engine = Engine(["shapes-small"])
    ends = []

    def generate():
        if is_async:
            return asyncio.run(engine.generate_async(PROMPT, steps=4))
        return engine.generate(PROMPT, steps=4)

    def generate_forever():
        while generate():
            pass

    def call():
        with pytest.raises((Cancelled, RuntimeError)) as end:
            generate_forever()
        ends.append(type(end.value))
        with pytest.raises(RuntimeError, match="closed"):
            generate()

    threads = [threading.Thread(target=call, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    engine.close()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert len(ends) == 16


def test_calls_end_with_the_reason_when_no_worker_can_be_started():
    reason = "The models have vanished."
    with Engine(["shapes-small"]) as engine, ThreadPoolExecutor(1) as threads:
        call = threads.submit(engine.generate, PROMPT, n=10, steps=200)
        eventually(lambda: engine._service.controller.running_count)
        engine._loop.call_soon_threadsafe(engine._service.collapsed, CannotServe(reason))
        with pytest.raises(CannotServe, match=reason):
            call.result(30)
        with pytest.raises(CannotServe, match=reason):
            engine.generate(PROMPT)


def test_models_that_are_not_ready_in_time_are_given_up():
    with pytest.raises(TimeoutError, match="within 0 s"):
        Engine(["shapes-small"], start_within_s=0)


def test_an_interrupted_start_leaves_no_thread_and_no_worker():
    program = (
        "import os, signal, threading\n"
        "from safelight import Engine\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    Engine(['shapes-small'])\n"
        "except KeyboardInterrupt:\n"
        "    print([thread.name for thread in threading.enumerate() if thread.name == 'safelight-engine'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert ended.stdout == "[]\n"


def test_an_edit_of_nothing_is_refused(engine):
    with pytest.raises(InvalidParameter, match="at least one picture"):
        engine.edit(PROMPT, [])


def test_a_program_that_forgets_to_close_its_engine_ends():
    program = "from safelight import Engine; engine = Engine(['shapes-small']); print(len(engine.models()))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert ended.stdout == "1\n"


def test_without_the_extra_one_sentence_names_it():
    program = "import sys; sys.modules['prometheus_client'] = None; from safelight import Engine"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.strip().endswith(
        "ImportError: Engine needs prometheus_client, which comes with the extra [serve]: "
        "pip install 'safelight[serve]'."
    )


def test_without_the_extra_a_client_can_be_made():
    absent = ("torch", "fastapi", "pydantic", "prometheus_client", "structlog", "uvicorn")
    program = f"import sys; sys.modules.update(dict.fromkeys({absent})); from safelight import Client; Client()"
    subprocess.run([sys.executable, "-c", program], check=True)
