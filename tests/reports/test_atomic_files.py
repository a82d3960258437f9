import os
from pathlib import Path

import pytest

from safelight.reports.atomic_files import write_atomically
from safelight.reports.errors import CannotWrite


def fail(path):
    path.write_text("half", "utf-8")
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old", "utf-8")
    seen = []

    def write(to):
        seen.append(path.read_text("utf-8"))
        to.write_text("new", "utf-8")

    write_atomically(path, write)
    assert (seen, path.read_text("utf-8")) == (["old"], "new")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old", "utf-8")
    with pytest.raises(CannotWrite, match=r"result\.txt'?: No space left on device"):
        write_atomically(path, fail)
    assert [(each.name, each.read_text("utf-8")) for each in tmp_path.iterdir()] == [("result.txt", "old")]


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path):
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "result.txt", lambda to: to.write_text("x", "utf-8"))
    finally:
        os.umask(mask)
    assert (tmp_path / "result.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_is_written_directly():
    with pytest.raises(CannotWrite, match="'/dev/full': No space left on device"):
        write_atomically(Path("/dev/full"), lambda to: to.write_text("x", "utf-8"))
