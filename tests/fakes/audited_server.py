"""A server that, once it is ready, notes every file it opens, module it loads and thread it starts.

`audited_server.py [OPEN_FILES]` prints its address, serves until SIGTERM, and prints the notes as JSON. Given a number
of further open files, none but so many can be opened once it is ready.
"""

import contextlib
import json
import os
import resource
import sys
import threading
from pathlib import Path

from safelight.server.run import serve
from safelight.server.settings import ServerSettings

NULL_WORKER = Path(__file__).with_name("null_worker.py")
NOTED = {"import", "open", "os.mkdir", "os.listdir", "os.scandir", "subprocess.Popen"}

notes = []
is_ready = threading.Event()


def note(event, arguments):
    if is_ready.is_set() and event in NOTED:
        notes.append(f"{event} {arguments[0]}")


def note_thread(*_):
    name = f"thread {threading.current_thread().name}"
    if name.endswith("(_do_shutdown)"):  # asyncio's own, at the end
        return
    if is_ready.is_set() and name not in notes:
        notes.append(name)


def allow_open_files(further):
    """Let this process open so many more files than it has open now."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    places = max(int(handle.name) for handle in Path("/proc/self/fd").iterdir()) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (places, most))
    with contextlib.suppress(OSError):
        while True:
            os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (places + further, most))


def ready(url):
    if len(sys.argv) > 1:
        allow_open_files(int(sys.argv[1]))
    print(url, flush=True)
    threading.settrace(note_thread)
    is_ready.set()


def main():
    sys.addaudithook(note)
    worker = (sys.executable, str(NULL_WORKER), "--step-s", "0.001")
    status = serve(ServerSettings(port=0, worker_argv=worker), on_ready=ready)
    is_ready.clear()
    print(json.dumps(notes))
    return status


if __name__ == "__main__":
    sys.exit(main())
