"""A server as a process of its own, with workers that paint grey: `served.py STEP_S DRAIN_S WORKER_ARGUMENT...`."""

import sys
from pathlib import Path

from safelight.server.errors import CannotServe
from safelight.server.run import serve
from safelight.server.settings import ServerSettings

NULL_WORKER = Path(__file__).with_name("null_worker.py")


def main(step_s, drain_s, *rest):
    settings = ServerSettings(
        port=0, drain_s=float(drain_s), worker_argv=(sys.executable, str(NULL_WORKER), "--step-s", step_s, *rest)
    )
    try:
        return serve(settings, on_ready=lambda url: print(url, flush=True))
    except CannotServe as error:
        print(error, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
