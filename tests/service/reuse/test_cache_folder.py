import pytest

from safelight.core.errors import CannotServe, LatentsFileError
from safelight.service.reuse.cache_folder import MARKER, open_folder
from service.reuse.kept import a_kept


def written(path, *entry_ids):
    folder = open_folder(path)
    for entry_id in entry_ids:
        folder.write(a_kept(id=entry_id))
    return folder


def files(path, suffix):
    return sorted(file.name for file in path.iterdir() if file.suffix == suffix)


def test_a_later_run_finds_what_was_written(tmp_path):
    written(tmp_path / "cache", "one", "two")
    later = open_folder(tmp_path / "cache")
    assert [entry.id for entry in later.scan().entries] == ["one", "two"]
    assert later.read("two") == a_kept(id="two")


def test_a_removed_picture_is_gone(tmp_path):
    folder = written(tmp_path, "one")
    folder.remove("one")
    folder.remove("unknown")
    assert not files(tmp_path, ".safetensors")


@pytest.mark.parametrize("place", [9, -1])
def test_a_changed_byte_is_found_when_the_picture_is_read_and_the_file_set_aside(tmp_path, place):
    folder = written(tmp_path, "one")
    (file,) = tmp_path.glob("one-*.safetensors")
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(LatentsFileError):
        folder.read("one")
    assert len(files(tmp_path, ".damaged")) == 1
    assert not open_folder(tmp_path).scan().entries


def test_files_that_are_no_pictures_are_set_aside_and_counted(tmp_path):
    written(tmp_path, "one")
    (tmp_path / "two-0.safetensors").write_bytes(b"x" * 40)
    (tmp_path / "three-0.safetensors").write_bytes(next(tmp_path.glob("one-*")).read_bytes())
    scan = open_folder(tmp_path).scan()
    assert (len(scan.entries), scan.damaged) == (1, 2)


def test_what_a_crash_has_left_unfinished_is_removed(tmp_path):
    written(tmp_path, "one")
    (tmp_path / "two-0.part").write_bytes(b"half")
    assert len(open_folder(tmp_path).scan().entries) == 1
    assert not files(tmp_path, ".part")


def test_a_write_that_fails_leaves_nothing_unfinished(tmp_path):
    folder = written(tmp_path, "one")
    (name,) = files(tmp_path, ".safetensors")
    folder.remove("one")
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match=name):
        folder.write(a_kept())
    assert not files(tmp_path, ".part")


def test_a_folder_with_anything_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CannotServe, match="not empty and no reuse cache"):
        open_folder(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("marker", [b"", b"{}x", b'{"kind":"another cache"}', b'{"format":99}'])
def test_a_folder_whose_marker_is_damaged_or_of_another_version_is_refused(tmp_path, marker):
    (tmp_path / MARKER).write_bytes(marker)
    with pytest.raises(CannotServe, match=r"damaged, or of another version"):
        open_folder(tmp_path)


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotServe, match="cannot be used"):
        open_folder(tmp_path / "file")
