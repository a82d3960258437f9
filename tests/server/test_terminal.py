"""What a server process writes to its standard error: text to a terminal, JSON to anything else."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from fakes.live_server import PATIENCE_S, eventually

SERVED = Path(__file__).parents[1] / "fakes" / "served.py"
ARGV = [sys.executable, str(SERVED), "0", "5"]


def test_a_terminal_gets_lines_for_people():
    ours, theirs = pty.openpty()
    pieces = []

    def read():
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                return
            pieces.append(piece)

    with subprocess.Popen(ARGV, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        threading.Thread(target=read, daemon=True).start()
        eventually(lambda: b"server ready" in b"".join(pieces))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    eventually(lambda: b"server ends" in b"".join(pieces))
    os.close(ours)
    lines = re.sub(rb"\x1b\[\d+m", b"", b"".join(pieces)).decode().splitlines()
    assert [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\w+ *\] \w", line)] == []


def test_a_pipe_gets_json():
    with subprocess.Popen(ARGV, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        lines = process.stderr.read().decode().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert "server ready" in events
    assert events[-1] == "server ends"
