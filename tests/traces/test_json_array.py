"""Any cut of a JSON array gives the same requests, and a broken one is told at its byte."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.traces.errors import BadTrace
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.json_array import JsonArray
from safelight.traces.readers.katz import KatzRequest

AWKWARD = st.text(st.sampled_from('ab{}[],:"\\ é\n\u2028😀'), min_size=1, max_size=4)
IDS = st.none() | AWKWARD
REQUESTS = st.fixed_dictionaries(
    {"timestamp": st.integers(0, 99) | st.floats(0, 99)},
    optional={
        "ip": IDS,
        "scene_id": IDS,
        "base_model_id": IDS,
        **dict.fromkeys(("controlnets", "loras"), st.none() | st.lists(IDS, max_size=3)),
    },
)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A source that gives its text in pieces of one size."""

    text: bytes
    size: int
    path: Path = Path("cut.json")

    def pieces(self):
        return (self.text[at : at + self.size] for at in range(0, len(self.text), self.size))


def read(text, *, size=1 << 20, is_lenient=False):
    """Return the requests in a text, their places, and what was left out."""
    read_log = ReadLog(Path("cut.json"), is_lenient=is_lenient)
    found = list(JsonArray(Cut(text=text, size=size), KatzRequest, read_log).elements())
    requests = [value for elements in found for value in elements.values]
    return requests, [place for elements in found for place in elements.places], read_log.dropped


def literal(request):
    lists = {name: request.get(name) for name in ("controlnets", "loras")}
    names = {name: request.get(name) for name in ("ip", "scene_id", "base_model_id")}
    tuples = {name: None if value is None else tuple(value) for name, value in lists.items()}
    return KatzRequest(timestamp=float(request["timestamp"]), **names, **tuples)


@given(requests=st.lists(REQUESTS, max_size=6), size=st.integers(1, 200), indent=st.none() | st.integers(0, 2))
def test_any_cut_gives_the_requests_that_a_plain_parser_gives(requests, size, indent):
    text = json.dumps(requests, indent=indent, ensure_ascii=bool(size % 2)).encode()
    found, places, _ = read(text, size=size)
    assert found == [literal(request) for request in json.loads(text)]
    assert places == list(range(1, len(requests) + 1))


@given(requests=st.lists(REQUESTS, min_size=1, max_size=4), size=st.integers(1, 200), data=st.data())
def test_a_text_that_breaks_off_is_told_with_its_byte_and_the_requests_before(requests, size, data):
    text = json.dumps(requests, ensure_ascii=False).encode()
    end = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(BadTrace) as told:
        read(text[:end], size=size)
    whole = sum(
        len(json.dumps(requests[:count], ensure_ascii=False).encode()) - 1 <= end
        for count in range(1, len(requests) + 1)
    )
    assert f"'cut.json', byte {end}: The JSON breaks off. {whole} requests were read before it." in str(told.value)


@given(requests=st.lists(REQUESTS, min_size=1, max_size=4), size=st.integers(1, 200), data=st.data())
def test_the_lenient_keep_what_is_whole_in_a_text_that_breaks_off(requests, size, data):
    text = json.dumps(requests, ensure_ascii=False).encode()
    end = data.draw(st.integers(1, len(text) - 1))
    found, _, dropped = read(text[:end], size=size, is_lenient=True)
    assert found == [literal(request) for request in requests[: len(found)]]
    assert dropped == {f"broken JSON from byte {end} on": 1}


@pytest.mark.parametrize("number", ["1.5e-7", "-0.25", "1E+2"])
def test_a_number_may_break_off_anywhere(number):
    start = '[{"timestamp": '
    for end in range(len(start), len(start + number) + 1):
        with pytest.raises(BadTrace, match=f"byte {end}: The JSON breaks off"):
            read((start + number)[:end].encode())


GOOD = '{"timestamp": 1, "ip": "}"}'


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[{GOOD}, {GOOD},]", "byte 58: The JSON is broken: an object was expected. 2 requests"),
        (f"[{GOOD} {GOOD}]", "byte 29: The JSON is broken: ',' is missing. 1 requests"),
        (f"[{GOOD}, oops]", "byte 30: The JSON is broken: an object was expected. 1 requests"),
        (f'[{GOOD}, {{"timestamp": nil}}]', "byte 44: The JSON is broken: Expecting value. 1 requests"),
        (f"[{GOOD}] more", "byte 29: More follows after the end of the JSON. 1 requests"),
        (f"[{GOOD}, 5]", "byte 30: The JSON is broken: an object was expected. 1 requests"),
        (f'[{GOOD}, {{"timestamp": "1"}}]', r"request 2: Expected `float`, got `str` - at `\$.timestamp`"),
        (f'[{GOOD}, {{"timestamp": 1, "loras": "x"}}]', "request 2: Expected `array | null`"),
        (f'[{GOOD}, {{"timestamp": 1, "lora": []}}]', "request 2: No field is named 'lora'; did you mean 'loras'?"),
        (f'[{GOOD}, {{"ip": "a"}}]', "request 2: Object missing required field `timestamp`"),
        (f'[{GOOD}, {{"timestamp": 1, "ip": "\\ud800"}}]', "request 2: It is not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(text, words, size):
    with pytest.raises(BadTrace, match=words.replace("|", r"\|")):
        read(text.encode(), size=size)


def test_text_that_is_not_utf_8_is_told_by_its_request():
    with pytest.raises(BadTrace, match="request 2: It is not UTF-8"):
        read(f'[{GOOD}, {{"timestamp": 1, "ip": "\xff"}}]'.encode("latin-1"))


def test_the_lenient_keep_all_good_requests_around_the_bad_ones():
    text = f'[{GOOD}, {{"timestamp": "1"}}, {GOOD}, {{"timestamp": 2, "zip": 1}}, {{"timestamp": 3}}]'
    found, places, dropped = read(text.encode(), is_lenient=True)
    assert ([request.timestamp for request in found], places) == ([1.0, 1.0, 3.0], [1, 3, 5])
    assert dropped == {"wrong types": 1, "unknown fields": 1}


def test_a_request_without_an_end_is_not_read_forever():
    def endless():
        yield b'[{"timestamp": 1, "ip": "'
        for _ in range(10_000):
            yield b"x" * (1 << 20)
        pytest.fail("it was read to the end")

    class Endless:
        path = Path("endless.json")
        pieces = staticmethod(endless)

    with pytest.raises(BadTrace, match="One request has more than 16 MiB"):
        list(JsonArray(Endless(), KatzRequest, ReadLog(Path("endless.json"), is_lenient=True)).elements())
