"""Reads request bodies: JSON, or a form with files, into one validated object."""

import asyncio
import base64
import json
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from safelight.core.errors import RequestError, shorten
from safelight.server.bodies import SMALL_BODY_BYTES, body_of
from safelight.server.json_scan import InvalidJson, JsonLimits, check_json
from safelight.server.wire.fields import MAX_PICTURE_CHARACTERS
from safelight.server.wire.validation_errors import MAX_SENTENCES, refusal
from safelight.service.paint_request import MAX_PICTURES

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

MOST_FILES = MAX_PICTURES + 1
MOST_FIELDS = 200
MAX_BOUNDARY_BYTES = 70
"""After RFC 2046, section 5.1.1."""

MOST_PARAM = 80
"""Characters of a field's name in an error."""

_LISTED = frozenset({"image"})
_NESTED = frozenset({"loras", "lora", "controls"})
_BRACKETS = re.compile(r"(?P<field>\w+)(?P<list>\[\])?(\[(?P<key>\w+)\])?")
_JSON_TYPE = re.compile(r"application/([^;\s]+\+)?json", re.IGNORECASE)
_BYTE_ORDER_MARK = "\ufeff".encode()
_FORM_PIECE_BYTES = 1 << 20
_BASE64_PIECE_BYTES = 3 << 18

Body = TypeVar("Body", bound=BaseModel)
FormFields = Mapping[str, Sequence[str | bytes]]


async def read_json(request: Request, kind: type[Body]) -> Body:
    """Return the body of a request, which its content type declares as JSON and the middleware has checked.

    Raises:
        HttpError: if it is not what `kind` says.
        RequestValidationError: if it is not JSON.
        RequestError: if it is not JSON, and too long to say where.
    """
    body = body_of(request)
    is_json = _JSON_TYPE.fullmatch(_media_type(request))
    return await body.run(lambda: _validated(kind, lambda: _parsed_body(body.take()) if is_json else None))


async def read_json_or_form(request: Request, kind: type[Body]) -> Body:
    """Return the body of a request as `kind`: JSON of any content type, or a form in which files are pictures.

    In a form, `loras`, `lora` and `controls` are JSON, or in brackets as the official client writes them.

    Raises:
        HttpError: if it is not what `kind` says.
        RequestValidationError: if it is not JSON.
        RequestError: if it is no whole form, or not JSON and too long to say where.
    """
    body = body_of(request)
    if _media_type(request).lower() == FORM:
        async with body.turn():
            fields = await _read_form(request, body.take())
        # All fields of a form are text, so numbers have to be parsed.
        assembled = partial(_assembled, fields, body.json_limits)
        return await body.run(lambda: _validated(kind, assembled, is_strict=False))
    return await body.run(lambda: _validated(kind, lambda: _parse_json(body.take())))


def _validated(kind: type[Body], read: Callable[[], object], *, is_strict: bool | None = None) -> Body:
    value = read()
    further = _drop_unknown(value, kind)
    try:
        return kind.model_validate(value, strict=is_strict)
    except ValidationError as error:
        raise refusal(error, tuple(kind.model_fields), further=further) from None


def _drop_unknown(value: object, kind: type[BaseModel]) -> int:
    """Drop unknown fields beyond those that are described, since an error is made of each; returns their number."""
    if not isinstance(value, dict) or kind.model_config.get("extra") != "forbid":
        return 0
    dropped = [name for name in value if name not in kind.model_fields][MAX_SENTENCES:]
    for name in dropped:
        del value[name]
    return len(dropped)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


def _parsed_body(text: bytes) -> object:
    return _parse_json(text) if text else None


def _parse_json(text: bytes, field: str = "body") -> object:
    """Return the value of a JSON text that `check_json` has accepted."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        return from_json(text, cache_strings="none")
    except ValueError as error:
        if len(text) > SMALL_BODY_BYTES:
            raise InvalidJson(field, str(error)) from None
    return _parse_small_json(text, field)


def _parse_small_json(text: bytes, field: str) -> object:
    """Parse by the standard library, which also reads half a surrogate pair, and says where an error is."""
    try:
        return json.loads(text.decode())
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": (field, error.pos), "msg": error.msg, "ctx": {"error": error.msg}}
        raise RequestValidationError([problem]) from None
    except UnicodeDecodeError:
        raise HTTPException(400) from None
    except (RecursionError, ValueError) as error:
        raise RequestError(f"{field} cannot be read as JSON: {error}.", param=None, code="invalid_json") from None


async def _read_form(request: Request, content: bytes) -> FormFields:
    """Return all values of each field of a form in UTF-8; those of files are bytes."""
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
        raise RequestError(
            f"The form cannot be read: its boundary should have 1 to {MAX_BOUNDARY_BYTES} characters.",
            code="invalid_form",
        )
    if not content.rstrip().endswith(b"--" + boundary + b"--"):
        raise RequestError("The form cannot be read: its end is missing.", code="invalid_form")
    if options.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
        raise RequestError("The form cannot be read: its text should be in UTF-8.", code="invalid_form")
    fields = defaultdict[str, list[str | bytes]](list)
    try:
        form = await _parse_form(request, content)
    except (HTTPException, MultiPartException) as error:
        reason = error.detail if isinstance(error, HTTPException) else error.message
        raise RequestError(f"The form cannot be read: {reason}", code="invalid_form") from None
    del content
    try:
        for name, value in form.multi_items():
            fields[name].append(await _content_of(value) if isinstance(value, UploadFile) else value)
    finally:
        await form.close()
    return fields


async def _content_of(file: UploadFile) -> bytes:
    """Return the bytes of a file, of which this is then the only copy."""
    content = await file.read()
    await file.close()
    return content


async def _parse_form(request: Request, content: bytes) -> FormData:
    """Parse a form in memory, in pieces between which other requests are served."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(content), _FORM_PIECE_BYTES):
            yield content[start : start + _FORM_PIECE_BYTES]
            await asyncio.sleep(0)

    parser = MultiPartParser(
        request.headers,
        pieces(),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=MAX_PICTURE_CHARACTERS,
    )
    parser.spool_max_size = len(content)  # no file is written to disk
    return await parser.parse()


def _data_url(content: bytes) -> str:
    """Return a file as a data URL, whose type is determined when it is decoded."""
    pieces = range(0, len(content), _BASE64_PIECE_BYTES)
    encoded = b"".join(base64.b64encode(content[start : start + _BASE64_PIECE_BYTES]) for start in pieces)
    return "data:image/png;base64," + encoded.decode("ascii")


def _assembled(files_and_fields: FormFields, limits: JsonLimits) -> dict[str, Any]:
    """Return the fields of a form as in JSON; empty ones are left out."""
    fields = {
        name: [_data_url(value) if isinstance(value, bytes) else value for value in values]
        for name, values in files_and_fields.items()
    }
    body: dict[str, Any] = {}
    pieces = defaultdict[str, dict[str, Sequence[str]]](dict)
    for name, values in fields.items():
        match = _BRACKETS.fullmatch(name)
        field = match["field"] if match else name
        if field in _LISTED:
            body.setdefault(field, []).extend(values)
        elif field in _NESTED and match and match["key"]:
            pieces[f"{field}{match['list'] or ''}"][match["key"]] = values
        elif len(values) > 1:
            raise RequestError(f"{shorten(name)} is given {len(values)} times; give it once.", param=name[:MOST_PARAM])
        elif values[0]:
            body[name] = _nested(values[0], field, limits) if name in _NESTED else values[0]
    return body | {field.removesuffix("[]"): _from_pieces(field, each) for field, each in pieces.items()}


def _nested(text: str, field: str, limits: JsonLimits) -> object:
    content = text.encode(errors="surrogatepass")
    check_json(content, limits, field=field)
    return _parse_json(content, field)


def _from_pieces(field: str, pieces: Mapping[str, Sequence[str]]) -> Any:  # noqa: ANN401 - not checked yet
    """Return the object, or the list of objects, whose keys are separate fields of a form."""
    counts = {len(values) for values in pieces.values()}
    if len(counts) > 1:
        name = field.removesuffix("[]")
        raise RequestError(f"The form does not tell which of {name} is meant by what; send {name} as JSON.", param=name)
    objects = [dict(zip(pieces, values, strict=True)) for values in zip(*pieces.values(), strict=True)]
    return objects if field.endswith("[]") else objects[0]
