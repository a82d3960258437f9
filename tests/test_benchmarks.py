"""Each benchmark starts: what it imports from the package is there."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_benchmark_starts(program):
    started = subprocess.run(
        [sys.executable, str(program), "--help"], capture_output=True, text=True, timeout=100, check=False
    )
    assert (started.returncode, started.stdout[:6]) == (0, "usage:"), started.stderr
