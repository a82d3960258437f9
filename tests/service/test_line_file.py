"""Files of lines, whatever other programs do to them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from safelight.service.line_file import LineFile

LIMITED = """
import resource, sys
from pathlib import Path
from safelight.service.line_file import LineFile

file = LineFile(Path(sys.argv[1]))
file.append(b"first\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    file.append(b"too long to fit\\n")
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.append(b"last\\n")
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


def test_a_line_that_fits_in_part_leaves_no_part_behind(path):
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert path.read_text() == "first\nlast\n"


def test_a_line_that_an_earlier_program_has_cut_off_is_ended_first(path):
    path.write_text("whole\ncut o")
    LineFile(path).append(b"next\n")
    assert path.read_text() == "whole\ncut o\nnext\n"


def test_a_file_of_whole_lines_is_continued(path):
    path.write_text("whole\n")
    LineFile(path).append(b"next\n")
    assert path.read_text() == "whole\nnext\n"


def rename(path):
    path.rename(path.with_suffix(".1"))


@pytest.mark.parametrize("move", [rename, Path.unlink])
def test_a_file_that_was_rotated_away_is_made_anew(path, move):
    file = LineFile(path)
    file.append(b"before\n")
    move(path)
    file.append(b"after\n")
    assert path.read_text() == "after\n"
    assert file.reopened == 1


def test_a_file_that_was_truncated_in_place_is_continued_at_its_new_end(path):
    file = LineFile(path)
    file.append(b"before\n")
    os.truncate(path, 0)
    file.append(b"after\n")
    assert path.read_text() == "after\n"


def test_lines_of_a_removed_file_whose_folder_is_gone_are_lost_until_the_folder_is_back(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LineFile(folder / "log")
    (folder / "log").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        file.append(b"lost\n")
    folder.mkdir()
    file.append(b"kept\n")
    assert (folder / "log").read_text() == "kept\n"


def test_a_moved_file_is_written_on_while_no_new_one_can_be_made(tmp_path):
    folder, moved = tmp_path / "logs", tmp_path / "moved"
    folder.mkdir()
    file = LineFile(folder / "log")
    folder.rename(moved)
    file.append(b"kept\n")
    assert (moved / "log").read_text() == "kept\n"


def test_a_pipe_that_no_program_reads_is_refused_at_once(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        LineFile(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        LineFile(tmp_path)
