"""The command lines of processes that compute."""

from pathlib import Path

from safelight.local.launch import compute_options, controlnet_service_argv, worker_argv

LIMITS = {"device": "cpu", "dtype": "float32", "threads": 2}


def test_a_deterministic_worker_takes_one_picture_into_a_tick():
    argv = worker_argv([Path("m")], *compute_options(**LIMITS, deterministic=True))
    assert argv[argv.index("--max-denoiser-rows") + 1] == "2"
    assert "--deterministic" in argv


def test_a_worker_is_not_deterministic_unless_it_is_told():
    assert not {"--deterministic", "--max-denoiser-rows"} & set(worker_argv([Path("m")], *compute_options(**LIMITS)))


def test_the_controlnet_service_of_deterministic_workers_is_deterministic():
    assert "--deterministic" in controlnet_service_argv(*compute_options(**LIMITS, deterministic=True))
