"""Memory of large bodies goes back to the system."""

import subprocess
import sys

import pytest

PROGRAM = """
from safelight.server.memory import give_large_blocks_back
if not give_large_blocks_back():
    print(-1)
    raise SystemExit

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

before = resident_mb()
for _ in range(5):
    blocks = [bytearray(3 << 20) for _ in range(30)]
    barriers = [bytearray(1000) for _ in range(1000)]
    del blocks
print(resident_mb() - before)
"""


def test_large_blocks_are_returned_when_they_are_free():
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    if float(said.stdout) < 0:
        pytest.skip("this C library has no such setting")
    assert float(said.stdout) < 30
