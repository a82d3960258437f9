"""A worker process around the null engine, with the real worker's command line."""

import argparse
import signal
import time
from pathlib import Path

from fake_gate import FakeGate
from null_engine import NullEngine

from safelight.control.replica.config import ReplicaConfig
from safelight.worker.process import run_worker


def wait_without(path):
    """Wait until a file is gone, using next to no processor time."""
    while path.exists():
        time.sleep(0.2)


class BlockedEngine:
    """An engine one of whose methods waits while a file is there, as when a driver hangs."""

    def __init__(self, engine, method, path):
        self._engine = engine
        self._method = method
        self._path = path

    def __getattr__(self, name):
        if name == self._method:
            wait_without(self._path)
        return getattr(self._engine, name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--max-denoiser-rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device")
    parser.add_argument("--dtype")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--controlnet-service", "--control-service")
    parser.add_argument("--gate", action="append", default=[], help="the name of a fake gate, with or without folders")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--step-s", type=float, default=0.0)
    parser.add_argument("--load-s", type=float, default=0.0)
    parser.add_argument("--blocking-file", type=Path)
    parser.add_argument("--block", help="the method of the engine, or start, that waits while the file is there")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def make_engine():
        until_s = time.process_time() + arguments.load_s
        while time.process_time() < until_s:  # a load computes
            pass
        gates = [FakeGate(Path(path).stem) for path in arguments.gate]
        engine = NullEngine(step_s=arguments.step_s, gates=gates)
        if arguments.blocking_file is None:
            return engine
        if arguments.block == "start":
            wait_without(arguments.blocking_file)
        return BlockedEngine(engine, arguments.block, arguments.blocking_file)

    run_worker(make_engine, config=ReplicaConfig(max_denoiser_rows=arguments.max_denoiser_rows))
