import os
from pathlib import Path

import pytest

from safelight.cli.errors import Misuse
from safelight.cli.output_files import check_output_files


def test_new_files_and_existing_ones_can_be_written(tmp_path):
    (tmp_path / "old").touch()
    check_output_files([tmp_path / "old", tmp_path / "new"], inputs=["", tmp_path / "in"])


@pytest.mark.parametrize(
    ("outputs", "inputs", "message"),
    [
        (["a", "a"], [], "named twice"),
        (["a", "folder/../a"], [], "named twice"),
        (["link"], ["in"], "named twice"),
        (["in"], ["in"], "named twice"),
        (["folder"], [], "is a folder"),
        (["none/a"], [], "There is no folder"),
    ],
)
def test_files_that_cannot_be_written_or_overwrite_each_other_are_refused(tmp_path, outputs, inputs, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "in").touch()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(Misuse, match=message):
        check_output_files([tmp_path / name for name in outputs], inputs=[tmp_path / name for name in inputs])


def test_a_device_may_be_named_twice():
    check_output_files([Path(os.devnull), Path(os.devnull)])
