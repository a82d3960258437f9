import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from safelight.core.errors import LatentsFileError
from safelight.service.reuse.kept_picture import entry_of, from_file, to_file
from service.reuse.kept import LATENTS, a_kept

FILE = to_file(a_kept())


def test_a_file_is_a_safetensors_file_with_the_picture_and_the_latents():
    tensors = load(FILE)
    assert tensors["picture"].shape == (2, 4, 3)
    assert [tensors[f"latents.{number}"].tobytes() for number in range(2)] == list(LATENTS)


def test_what_is_read_is_what_was_written():
    assert from_file(FILE) == a_kept()
    assert entry_of(FILE) == a_kept().entry


@given(length=st.integers(0, len(FILE) - 1))
def test_a_file_that_is_cut_off_anywhere_is_refused(length):
    with pytest.raises(LatentsFileError):
        from_file(FILE[:length])


@given(content=st.binary(max_size=200))
def test_other_bytes_are_refused(content):
    with pytest.raises(LatentsFileError):
        from_file(content)


def changed(change):
    """The file with another header."""
    length = int.from_bytes(FILE[:8], "little")
    header = json.loads(FILE[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + FILE[8 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("picture"),
        lambda header: header.pop("latents.0"),
        lambda header: header["picture"].update(shape=[4, 2, 3]),
        lambda header: header["picture"].update(dtype="F32"),
        lambda header: header["picture"].update(data_offsets=[-1, 23]),
        lambda header: header["picture"].update(data_offsets=[0, 9]),
        lambda header: header["latents.1"].update(data_offsets=[24, 9999]),
        lambda header: header.update({"__metadata__": {"safelight": "{}"}}),
        lambda header: header.update({"__metadata__": {"safelight": 3}}),
        lambda header: header.pop("__metadata__"),
    ],
    ids=range(10),
)
def test_a_header_that_does_not_describe_a_picture_is_refused(change):
    with pytest.raises(LatentsFileError):
        from_file(changed(change))
