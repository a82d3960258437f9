"""No error that leaves the server says where files are, or where objects lie in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.core.errors import AdapterFileError, NotReady, WorkFailed
from safelight.server.errors import problem_of
from safelight.server.public_text import public_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'/home/ann/my loras/glow.safetensors' is damaged.", "'glow.safetensors' is damaged."),
        ('"/srv/models/sdxl/unet" is missing.', '"unet" is missing.'),
        ("[Errno 13] Permission denied: '/root/a.safetensors'", "[Errno 13] Permission denied: 'a.safetensors'"),
        ("cannot open /var/lib/x/y.bin: it is gone", "cannot open y.bin: it is gone"),
        ("see file:///srv/x/y.bin", "see y.bin"),
        (r"'C:\Users\ann\glow.safetensors' is damaged", "'glow.safetensors' is damaged"),
        ("<Denoiser object at 0x7f3a2c01d990> failed", "<Denoiser object> failed"),
        ('"/home/o\'hara/x.safetensors" is damaged', '"x.safetensors" is damaged'),
        ("cannot read /srv/a,b/c:d/x.bin, it is gone", "cannot read x.bin, it is gone"),
        ("a step of 3/4 at 1.5 images/s", "a step of 3/4 at 1.5 images/s"),
        ("GET /openapi.json lists what there is", "GET /openapi.json lists what there is"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ],
)
def test_files_are_named_without_their_folders(text, expected):
    assert public_text(text) == expected


PARTS = st.text(st.sampled_from("abc-_.0"), min_size=1, max_size=6)


@given(st.lists(PARTS, min_size=2, max_size=5), st.sampled_from(["'{}' is broken", "cannot read {}", "({}: no)"]))
def test_no_folder_of_an_absolute_path_is_left(parts, sentence):
    path = "/" + "/".join(parts)
    assert f"{parts[0]}/" not in public_text(sentence.format(path))


@pytest.mark.parametrize(
    "error",
    [
        AdapterFileError("'/srv/adapters/glow.safetensors' is damaged."),
        WorkFailed("The denoiser failed: /usr/lib/torch/x.so said no.", reason="worker_failed"),
        NotReady("'/srv/models/large' is loading.", retry_after_s=1.0),
    ],
)
def test_an_answer_names_files_without_their_folders(error):
    problem = problem_of(error)
    assert "/srv" not in problem.message
    assert "/usr" not in problem.message
