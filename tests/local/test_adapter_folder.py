import pytest

from safelight.core.errors import AdapterFileError
from safelight.local.adapter_folder import copy_adapter, delete_adapter, files_of, find_adapters


@pytest.fixture
def folder(tmp_path):
    """Where adapters are kept; not there yet."""
    return tmp_path / "kept" / "adapters"


@pytest.fixture
def source(tmp_path):
    """An adapter with a sub-folder, and a script that does not belong to it."""
    path = tmp_path / "source"
    (path / "unet").mkdir(parents=True)
    (path / "unet" / "adapter_model.safetensors").write_bytes(b"weights")
    (path / "unet" / "adapter_config.json").write_text("{}")
    (path / "train.py").write_text("")
    return path


def contents(path):
    return {file.relative_to(path).as_posix() for file in path.rglob("*")}


def test_a_copied_folder_has_weights_and_settings_at_their_places(source, folder):
    kept = copy_adapter("glow", source, folder)
    assert kept == folder / "glow"
    assert contents(kept) == {"unet", "unet/adapter_model.safetensors", "unet/adapter_config.json"}


def test_a_copied_file_is_called_by_its_name(source, folder):
    kept = copy_adapter("glow", source / "unet" / "adapter_model.safetensors", folder)
    assert (kept, kept.read_bytes()) == (folder / "glow.safetensors", b"weights")


def test_a_copy_leaves_nothing_else_behind(source, folder):
    kept = copy_adapter("glow", source, folder)
    assert list(folder.iterdir()) == [kept]


def test_what_was_copied_is_found_by_its_name(source, folder):
    kept = copy_adapter("glow", source, folder)
    assert find_adapters([folder]) == {"glow": kept}


def test_a_copy_that_is_not_finished_is_not_found(source, folder):
    copy_adapter(".unfinished", source, folder)
    assert find_adapters([folder]) == {}


def test_of_one_name_the_first_folder_counts(source, tmp_path):
    first, second = (copy_adapter("glow", source, tmp_path / name) for name in ("first", "second"))
    assert find_adapters([first.parent, second.parent]) == {"glow": first}


@pytest.mark.parametrize("place", ["model.safetensors", "unet/more.json", "unet/deep"])
def test_a_link_anywhere_is_refused_and_nothing_is_written(place, source, folder, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (source / place).symlink_to(tmp_path / "secret")
    with pytest.raises(AdapterFileError, match="symbolic link"):
        copy_adapter("glow", source, folder)
    assert not folder.exists()


def test_an_adapter_that_is_a_link_itself_is_refused(source, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(source)
    with pytest.raises(AdapterFileError, match="symbolic link"):
        files_of(link)


def test_a_folder_without_weights_is_refused(source):
    (source / "unet" / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterFileError, match=r"no \.safetensors"):
        files_of(source)


def test_a_deleted_adapter_leaves_nothing_behind(source, folder):
    delete_adapter(copy_adapter("glow", source, folder))
    assert list(folder.iterdir()) == []


def test_deleting_follows_no_link(source, folder):
    folder.mkdir(parents=True)
    link = folder / "glow"
    link.symlink_to(source)
    delete_adapter(link)
    assert not link.is_symlink()
    assert source.is_dir()
