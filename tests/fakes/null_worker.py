"""A worker process around the null engine, with the real worker's command line."""

import argparse
import signal

from null_engine import NullEngine

from safelight.control.replica.config import ReplicaConfig
from safelight.worker.process import run_worker

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--max-denoiser-rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device")
    parser.add_argument("--dtype")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--controlnet-service", "--control-service")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--step-s", type=float, default=0.0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_worker(
        lambda: NullEngine(step_s=arguments.step_s), config=ReplicaConfig(max_denoiser_rows=arguments.max_denoiser_rows)
    )
