"""The file of cascades."""

from pathlib import Path

import msgspec
import pytest

from safelight.core.errors import CascadeFileError
from safelight.profiles.cascade_file import BuiltCascade, read_cascades, write_cascades

BUILT = BuiltCascade(
    name='both "a" and b',
    light="a",
    heavy="b",
    gate=Path("gates/a-b.safetensors"),
    threshold=0.625,
    router_threshold=0.75,
    share=0.3,
    seconds=0.125,
    quality=0.9,
)


def test_a_file_is_read_as_it_was_written_and_finds_its_gates_from_its_own_folder(tmp_path: Path) -> None:
    cascades = tuple(
        msgspec.structs.replace(BUILT, name=name, router_threshold=router, gate=tmp_path / "gates" / "a-b.safetensors")
        for name, router in (('one "of" these', None), ("another", 0.75))
    )
    write_cascades(cascades, tmp_path / "cascade.toml")
    assert str(tmp_path) not in (tmp_path / "cascade.toml").read_text()
    assert read_cascades(tmp_path / "cascade.toml") == cascades


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("format = 1", "format = 9"), "format 9"),
        (("threshold = 0.625", "threshold = 1.5"), "threshold is 1.5"),
        (("threshold = 0.625", "treshold = 0.625"), "did you mean 'threshold'"),
        (('heavy = "b"', 'heavy = "a"'), "needs two models"),
        (("share = 0.3", "share = "), "not TOML"),
        (("share = 0.3", "share = nan"), "share is nan"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "cascade.toml"
    write_cascades([BUILT], path)
    path.write_text(path.read_text().replace("router_threshold = 0.75\n", "").replace(*change))
    with pytest.raises(CascadeFileError, match=says):
        read_cascades(path)


def test_a_file_that_is_not_there_or_names_a_cascade_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CascadeFileError, match="no such file"):
        read_cascades(tmp_path / "none.toml")
    write_cascades([BUILT, BUILT], tmp_path / "cascade.toml")
    with pytest.raises(CascadeFileError, match="two cascades"):
        read_cascades(tmp_path / "cascade.toml")
