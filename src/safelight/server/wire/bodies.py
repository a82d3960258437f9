"""Reads request bodies: JSON, or a form with files, into one validated object."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from safelight.core.errors import RequestError
from safelight.server.wire.fields import MAX_PICTURE_CHARACTERS
from safelight.service.paint_request import MAX_PICTURES

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

MOST_FILES = MAX_PICTURES + 1
MOST_FIELDS = 200

_LISTED = frozenset({"image"})
_NESTED = frozenset({"loras", "lora", "controls"})
_BRACKETS = re.compile(r"(?P<field>\w+)(?P<list>\[\])?(\[(?P<key>\w+)\])?")
_JSON_TYPE = re.compile(r"application/([^;\s]+\+)?json", re.IGNORECASE)

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request, kind: type[Body]) -> Body:
    """Return the body of a request, which its content type declares as JSON.

    Raises:
        RequestValidationError: if it is not what `kind` says.
        RequestError: if it is JSON that cannot be parsed, such as one that is nested too deeply.
    """
    text = await request.body()
    is_json = text and _JSON_TYPE.fullmatch(_media_type(request))
    try:
        return kind.model_validate(_parsed(text) if is_json else None)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


async def read_json_or_form(request: Request, kind: type[Body]) -> Body:
    """Return the body of a request as `kind`: JSON of any content type, or a form in which files are pictures.

    In a form, `loras`, `lora` and `controls` are JSON, or in brackets as the official client writes them.

    Raises:
        RequestValidationError: if it is not what `kind` says.
        RequestError: if it is no whole form.
    """
    try:
        if _media_type(request).lower() == FORM:
            # All fields of a form are text, so numbers have to be parsed.
            return kind.model_validate(_assembled(await _read_form(request)), strict=False)
        return kind.model_validate(_parsed(await request.body()))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


def _parsed(text: bytes | str, field: str = "body") -> Any:  # noqa: ANN401 - JSON, not checked yet
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": (field, error.pos), "msg": error.msg, "ctx": {"error": error.msg}}
        raise RequestValidationError([problem]) from None
    except UnicodeDecodeError:
        raise HTTPException(400) from None
    except (RecursionError, ValueError) as error:
        raise RequestError(f"{field} cannot be read as JSON: {error}.", param=None, code="invalid_json") from None


async def _read_form(request: Request) -> dict[str, list[str]]:
    """Return all values of each field; files become data URLs, whose type is determined when they are decoded."""
    fields = defaultdict[str, list[str]](list)
    _, options = parse_options_header(request.headers["content-type"])
    if not (await request.body()).rstrip().endswith(b"--" + options.get(b"boundary", b"") + b"--"):
        raise RequestError("The form cannot be read: its end is missing.", code="invalid_form")
    try:
        async with request.form(
            max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=MAX_PICTURE_CHARACTERS
        ) as form:
            for name, value in form.multi_items():
                fields[name].append(_data_url(await value.read()) if isinstance(value, UploadFile) else value)
    except HTTPException as error:
        raise RequestError(f"The form cannot be read: {error.detail}", code="invalid_form") from None
    return fields


def _data_url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _assembled(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the fields of a form as in JSON; empty ones are left out."""
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
            raise RequestError(f"{name} is given {len(values)} times; give it once.", param=name)
        elif values[0]:
            body[name] = _parsed(values[0], field) if name in _NESTED else values[0]
    return body | {field.removesuffix("[]"): _from_pieces(field, each) for field, each in pieces.items()}


def _from_pieces(field: str, pieces: Mapping[str, Sequence[str]]) -> Any:  # noqa: ANN401 - not checked yet
    """Return the object, or the list of objects, whose keys are separate fields of a form."""
    counts = {len(values) for values in pieces.values()}
    if len(counts) > 1:
        name = field.removesuffix("[]")
        raise RequestError(f"The form does not tell which of {name} is meant by what; send {name} as JSON.", param=name)
    objects = [dict(zip(pieces, values, strict=True)) for values in zip(*pieces.values(), strict=True)]
    return objects if field.endswith("[]") else objects[0]
