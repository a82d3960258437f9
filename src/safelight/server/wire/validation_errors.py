"""One message from pydantic's list of errors in a request."""

from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import ValidationError

from safelight.core.errors import nearest, shorten
from safelight.server.errors import HttpError, Problem
from safelight.server.wire.chat import OtherRole

MAX_SENTENCES = 3
MAX_RULE_CHARACTERS = 300
MAX_STEP_CHARACTERS = 60
"""Of one name in the path to a field."""

_PARTS_OF_A_REQUEST = frozenset({"body", "query", "path", "header", "cookie"})
_BRANCH_MARKS = ("[", "function-", "literal")
_UNION_BRANCHES = frozenset({"str", "int", "float", "bool", "none"})

_TAGS = frozenset(get_args(OtherRole)) | {"user", "text", "image_url"}
"""Names of union branches that follow the index of a message or of a part."""

PydanticError = Mapping[str, object]


def describe(errors: Sequence[PydanticError], known_fields: Sequence[str], *, further: int = 0) -> Problem:
    """Return the problem for `errors`, at least one.

    Args:
        errors: of pydantic.
        known_fields: are suggested for misspelt names.
        further: how many errors there are besides.
    """
    kept = _one_per_field(errors)
    sentences = [_sentence(error, known_fields) for error in kept[:MAX_SENTENCES]]
    if more := max(0, len(kept) - MAX_SENTENCES) + further:
        sentences.append(f"There are {more} more.")
    first = kept[0]
    return Problem(
        status=400,
        message=" ".join(sentences),
        type="invalid_request_error",
        param=_field(first) or None,
        code="invalid_json" if first["type"] == "json_invalid" else "invalid_value",
    )


def refusal(error: ValidationError, known_fields: Sequence[str], *, further: int = 0) -> HttpError:
    """Return the error of a body that is not what its type says; the arguments are those of `describe`."""
    return HttpError.of(describe(error.errors(include_url=False), known_fields, further=further))


def _one_per_field(errors: Sequence[PydanticError]) -> list[PydanticError]:
    """Keep the most precise error of each top-level field: a union has one for each of its branches."""
    kept: dict[object, PydanticError] = {}
    for error in errors:
        location = _location(error)
        field = next((step for step in location if step not in _PARTS_OF_A_REQUEST), "")
        if field not in kept or len(location) > len(_location(kept[field])):
            kept[field] = error
    return list(kept.values())


def _sentence(error: PydanticError, known_fields: Sequence[str]) -> str:
    field = _field(error)
    match error["type"]:
        case "json_invalid":
            said = f"The body is not valid JSON: {_context(error, 'error')} at character {_location(error)[-1]}."
        case "missing" | "model_attributes_type" | "model_type" | "dict_type" if not field:
            said = "The body should be a JSON object, sent with `Content-Type: application/json`."
        case "union_tag_not_found":
            said = f"{field}.{_discriminator(error)} is missing."
        case "union_tag_invalid":
            tag, allowed = _context(error, "tag"), _context(error, "expected_tags")
            said = f"{field}.{_discriminator(error)} is {shorten(tag)}; it should be one of {allowed}."
        case "missing":
            said = f"{field} is missing."
        case "extra_forbidden":
            said = f"There is no field {shorten(field)}; {nearest(field, known_fields)}"
        case "string_too_long" if isinstance(text := error.get("input"), str):
            said = (
                f"{field} has {len(text):,} characters, of which at most {_context(error, 'max_length')} are allowed."
            )
        case "string_unicode":
            said = f"{field or 'The name of a field'} is not valid Unicode text."
        case _:
            rule = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
            said = f"{field or 'The body'} is {shorten(error.get('input'))}; {rule[:MAX_RULE_CHARACTERS]}."
    return said


def _location(error: PydanticError) -> tuple[object, ...]:
    location = error["loc"]
    assert isinstance(location, tuple)
    return location


def _field(error: PydanticError) -> str:
    """Return where the error is, as a client would write it: `messages[0].content`."""
    name = ""
    before: object = None
    for step in _location(error):
        if isinstance(step, int):
            name += f"[{step}]"
        elif not (step in _PARTS_OF_A_REQUEST and not name) and not _is_branch(str(step), before):
            shown = str(step)[:MAX_STEP_CHARACTERS]
            name += f".{shown}" if name else shown
        before = step
    return "" if error["type"] == "json_invalid" else name


def _is_branch(step: str, before: object) -> bool:
    """Whether `step`, after the step `before`, is not a field but pydantic's name for a branch of a union."""
    is_tag = isinstance(before, int) and step in _TAGS
    return is_tag or step in _UNION_BRANCHES or any(mark in step for mark in _BRANCH_MARKS)


def _discriminator(error: PydanticError) -> str:
    return str(_context(error, "discriminator")).strip("'")


def _context(error: PydanticError, key: str) -> object:
    context = error["ctx"]
    assert isinstance(context, Mapping)
    return context[key]
