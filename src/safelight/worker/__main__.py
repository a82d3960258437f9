"""`python -m safelight.worker --model DIR`: the process that the server starts for each worker."""

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

from safelight.control.policies import deterministic_policies_from, policies_from
from safelight.control.replica.config import MAX_DENOISER_ROWS, ReplicaConfig
from safelight.core.child import TRY_AGAIN, may_pass
from safelight.core.errors import ExtensionError, GateFileError, ModelFolderError, PlacementError
from safelight.worker.determinism import prepare_environment
from safelight.worker.engine import Engine
from safelight.worker.lifeline import die_with_parent
from safelight.worker.process import run_worker

AUTO = "auto"


def main() -> int:
    """Run a worker over the named model folders; returns the exit status."""
    die_with_parent()
    arguments = _parser().parse_args()
    # Only the server handles Ctrl-C; it ends its workers by closing their standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Standard error goes to the server's log, so progress bars of libraries are disabled.
    os.environ.setdefault("TQDM_DISABLE", "1")

    if arguments.deterministic:
        prepare_environment()

    choose = deterministic_policies_from if arguments.deterministic else policies_from
    policies = choose(arguments.policy)
    config = ReplicaConfig(
        max_denoiser_rows=arguments.max_denoiser_rows,
        order=policies.order,
        batching=policies.batching,
        adapter_mode=policies.adapter_mode,
        deterministic=arguments.deterministic,
    )

    def make_engine() -> Engine:
        from safelight.diffusion.engine import DiffusionEngine
        from safelight.diffusion.placement import find_placement

        load_controlnet = None
        if arguments.controlnet_service is not None:
            from safelight.worker.controlnet_service.remote import RemoteControlNet

            load_controlnet = partial(RemoteControlNet.load, arguments.controlnet_service)
        return DiffusionEngine.load(
            arguments.model,
            placement=find_placement(arguments.device, arguments.dtype, number=arguments.number),
            threads=arguments.threads,
            max_denoiser_rows=arguments.max_denoiser_rows,
            load_controlnet=load_controlnet,
            deterministic=arguments.deterministic,
            gates=arguments.gate,
            prompt_cache_bytes=arguments.prompt_cache_bytes,
        )

    try:
        run_worker(make_engine, config=config)
    except (ExtensionError, GateFileError, ModelFolderError, PlacementError, OSError, MemoryError) as error:
        if may_pass(error) or may_pass(error.__context__):
            print(f"The worker lacks something for now: {error}", file=sys.stderr)
            return TRY_AGAIN
        if isinstance(error, OSError | MemoryError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m safelight.worker", description=__doc__)
    parser.add_argument("--model", action="append", type=Path, required=True, help="a diffusers folder; repeatable")
    parser.add_argument("--max-denoiser-rows", type=int, default=MAX_DENOISER_ROWS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default=AUTO, help="a device as torch calls it, or auto")
    parser.add_argument("--dtype", default=AUTO, help="float32, bfloat16, float16 or auto")
    parser.add_argument("--number", type=int, default=0, help="of this worker; workers take turns over the GPUs")
    parser.add_argument(
        "--controlnet-service",
        "--control-service",
        type=Path,
        help="the socket of the process that has the ControlNets",
    )
    parser.add_argument("--prompt-cache-bytes", type=int, default=64 << 20)
    parser.add_argument("--gate", action="append", default=[], type=Path, help="a gate of a cascade; repeatable")
    parser.add_argument("--policy", action="append", default=[], metavar="FAMILY=NAME", help="repeatable")
    parser.add_argument("--deterministic", action="store_true", help="the same bytes for a request in any company")
    return parser


if __name__ == "__main__":
    sys.exit(main())
