"""A worker that dies at its start while a file says so: `worker.py ENGINE FOLDER WORKER_ARGUMENT...`."""

import os
import sys
from pathlib import Path

NULL_WORKER = Path(__file__).parents[2] / "tests" / "fakes" / "null_worker.py"

if __name__ == "__main__":
    _, engine, folder, *arguments = sys.argv
    number = arguments[arguments.index("--number") + 1]
    if (Path(folder) / f"dies-{number}").exists():
        sys.exit(3)
    program = [str(NULL_WORKER)] if engine == "null" else ["-m", "safelight.worker"]
    os.execv(sys.executable, [sys.executable, *program, *arguments])
