"""A server under attack, with frail workers: `server.py ENGINE FOLDER`; prints its URL. It ends with SIGTERM.

ENGINE is `null`, whose two workers paint 20 pictures of 10 steps a second together, or `shapes`, the shipped models.
FOLDER gets the outcome log; a file `dies-N` in it makes worker N die at each start.
"""

import sys
from pathlib import Path

from safelight.local.launch import worker_argv
from safelight.local.model_folders import SHIPPED_ADAPTERS, model_folders
from safelight.server.run import serve
from safelight.server.settings import ServerSettings

FRAIL_WORKER = Path(__file__).with_name("worker.py")
WORKERS = 2
NULL_STEPS = 10
NULL_ROWS = 8
NULL_PER_S = 20
PICTURES_AT_ONCE = NULL_ROWS // 2
NULL_STEP_S = PICTURES_AT_ONCE * WORKERS / NULL_PER_S / NULL_STEPS


def options(engine: str) -> tuple[str, ...]:
    """Return what the worker of this engine gets on its command line."""
    if engine == "null":
        return ("--step-s", str(NULL_STEP_S), "--max-denoiser-rows", str(NULL_ROWS))
    _, _, _, *rest = worker_argv(model_folders(None))
    return tuple(rest)


def main(engine: str, folder: str) -> int:
    """Serve until a signal arrives; returns the exit status."""
    settings = ServerSettings(
        port=0,
        workers=WORKERS,
        worker_argv=(sys.executable, str(FRAIL_WORKER), engine, folder, *options(engine)),
        adapters=(SHIPPED_ADAPTERS,) if engine == "shapes" else (),
        outcomes=Path(folder) / "outcomes.jsonl",
    )
    return serve(settings, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
