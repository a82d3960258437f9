"""The number of connections fits within the open files of the process."""

import subprocess
import sys

import pytest

from safelight.server.connections.limits import ConnectionLimits, fit_to_files, reserved_files


def test_connections_leave_files_to_workers():
    fitting = fit_to_files(ConnectionLimits(), files=1024, workers=2)
    assert fitting.max_connections == 1024 - reserved_files(2)


def test_a_smaller_limit_stays():
    assert fit_to_files(ConnectionLimits(max_connections=10), files=1024, workers=1).max_connections == 10


@pytest.mark.parametrize("files", [16, 64, 128, 256])
def test_few_files_leave_some_connections(files):
    assert 8 <= fit_to_files(ConnectionLimits(), files=files, workers=1).max_connections <= max(8, files // 2)


@pytest.mark.parametrize("most", [1, 2, 8, 100, 5000])
def test_some_connections_are_for_health_only(most):
    limits = ConnectionLimits(max_connections=most)
    assert limits.max_busy >= 1
    assert limits.kept_for_health >= 1


def test_the_limit_of_open_files_is_raised_as_far_as_is_allowed():
    code = (
        "import resource; from safelight.server.connections.limits import raise_file_limit; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 150)); "
        "print(raise_file_limit(120), raise_file_limit(1000), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["120", "150", "150", "150"]
