"""The OpenAPI document, including the limits of the loaded models."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from safelight.core.model import ModelSpec
from safelight.server.idempotency import IDEMPOTENCY_HEADER, MAX_KEY_CHARACTERS
from safelight.server.wire.chat import ChatOptions, ChatRequest
from safelight.server.wire.images import EditRequest, GenerationRequest

Schema = dict[str, Any]

MOST_SIDES_LISTED = 64
"""Size patterns list at most this many sides."""

_LORA, _OMNI_LORA, _CONTROL = (f"#/components/schemas/{name}" for name in ("LoraChoice", "OmniLora", "ControlChoice"))

_BODIES = (GenerationRequest, EditRequest, ChatRequest)
"""Bodies that their routes read themselves, and that FastAPI therefore does not know."""

_KEY_DESCRIPTION = "Names this request: sent again, with the same body, it gets the same answer without new work."
_IDEMPOTENCY_KEY: Schema = {
    "name": IDEMPOTENCY_HEADER,
    "in": "header",
    "required": False,
    "description": _KEY_DESCRIPTION,
    "schema": {
        "anyOf": [{"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS}, {"type": "null"}],
        "description": _KEY_DESCRIPTION,
        "title": IDEMPOTENCY_HEADER,
    },
}

_ONE_PICTURE_PER_STREAM: Schema = {
    "if": {"properties": {"stream": {"const": True}}, "required": ["stream"]},
    "then": {"properties": {"n": {"enum": [1, None]}}},
}


def describe_api(
    app: FastAPI,
    models: Mapping[str, ModelSpec],
    *,
    aliases: Sequence[str],
    cascades: Sequence[str] = (),
    reuse_scopes: Sequence[str] = (),
    loras: Sequence[str],
    controls: Sequence[str],
    needs_key: bool = False,
) -> Schema:
    """Return the OpenAPI document of `app` as it serves `models`.

    The names of cascades are among those of models; aliases, LoRAs and ControlNets have further ones. Earlier pictures
    of `reuse_scopes` are reused.
    """
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    if needs_key:
        _require_key(document)
    schemas: Schema = document["components"]["schemas"]
    for body in _BODIES:
        _add_schema(schemas, body)
    schemas["GenerationRequest"] |= _ONE_PICTURE_PER_STREAM
    if models:
        for name in ("GenerationRequest", "EditRequest", "ChatRequest", "ChatOptions"):
            _narrow(schemas[name]["properties"], list(models.values()), aliases)
            _narrow_levels(schemas[name]["properties"], cascades, reuse_scopes)
            _name_adapters(schemas[name]["properties"], loras, controls)
    schemas["EditForm"] = _as_form(schemas["EditRequest"])
    chat = schemas["ChatRequest"]
    schemas["FlatChatRequest"] = _without(chat, {"extra_body"}, title="Options at the top level")
    schemas["NestedChatRequest"] = _without(chat, set(ChatOptions.model_fields), title="Options in extra_body")
    schemas["ChatRequest"] = {
        "description": chat["description"],
        "anyOf": [{"$ref": f"#/components/schemas/{kind}ChatRequest"} for kind in ("Flat", "Nested")],
    }
    return document


class ApiDocument:
    """The OpenAPI document of an application as bytes, made anew only when what it describes has changed."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._described: tuple[dict[str, ModelSpec], bool, dict[str, Sequence[str]]] | None = None
        self._content = b""

    async def content(self, models: Mapping[str, ModelSpec], *, needs_key: bool, **names: Sequence[str]) -> bytes:
        """Return the document of `describe_api`, which is made in a thread: it takes long."""
        described = (dict(models), needs_key, names)
        if described != self._described:
            document = await asyncio.to_thread(describe_api, self._app, described[0], needs_key=needs_key, **names)
            self._content, self._described = msgspec.json.encode(document), described
        return self._content


def _require_key(document: Schema) -> None:
    """Say that every operation but liveness needs a key, as a bearer token or as the password of HTTP Basic."""
    document["components"]["securitySchemes"] = {name: {"type": "http", "scheme": name} for name in ("bearer", "basic")}
    document["security"] = [{"bearer": []}, {"basic": []}]
    document["paths"]["/health/live"]["get"]["security"] = []


def painting_operation(bodies: Mapping[str, str]) -> Schema:
    """Return the OpenAPI entries of a route that reads its request itself, which FastAPI cannot derive.

    Args:
        bodies: media types of its body, each with the name of a schema that `describe_api` adds.
    """
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}} for media_type, name in bodies.items()}
    return {"requestBody": {"required": True, "content": content}, "parameters": [_IDEMPOTENCY_KEY]}


def _add_schema(schemas: Schema, body: type[BaseModel]) -> None:
    """Add the schema of `body` to `schemas`, and those that it refers to."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    schemas[body.__name__] = schema


def _as_form(schema: Schema) -> Schema:
    """Return the schema of a form with the fields of `schema`: pictures are files, and nested fields are JSON."""
    file: Schema = {"type": "string", "format": "binary"}
    nested: Schema = {"type": "string", "contentMediaType": "application/json"}
    fields = {"image": schema["properties"]["image"] | {"items": file}, "mask": file}
    fields |= dict.fromkeys(("loras", "lora", "controls"), nested)
    return schema | {"title": "EditForm", "properties": schema["properties"] | fields}


def _without(schema: Schema, names: AbstractSet[str], *, title: str) -> Schema:
    """Return `schema` without the properties called `names`."""
    kept = {name: value for name, value in schema["properties"].items() if name not in names}
    return schema | {"title": title, "properties": kept}


def _narrow(properties: Schema, models: Sequence[ModelSpec], aliases: Sequence[str]) -> None:
    """Put into `properties` what some of `models` can do."""
    sides = sorted({side for model in models for side in _sides(model)})
    known: Schema = {
        "model": {"enum": [*(model.name for model in models), *aliases]},
        "sampler": {"enum": sorted({sampler for model in models for sampler in model.samplers})},
        "width": {"enum": sides},
        "height": {"enum": sides},
    }
    if not any(model.caches_steps for model in models):
        known["step_cache"] = {"maximum": 0}
    if len(sides) <= MOST_SIDES_LISTED:
        listed = "|".join(map(str, sides))
        known["size"] = {"pattern": f"^(auto|({listed})x({listed}))$"}
    for name in known.keys() & properties.keys():
        properties[name]["anyOf"][0] |= known[name]


def _narrow_levels(properties: Schema, cascades: Sequence[str], reuse_scopes: Sequence[str]) -> None:
    """Put into `properties` what cascades and reuse there are."""
    if not cascades:
        properties["min_quality"]["anyOf"][0] = {"not": {}}
    if not reuse_scopes:
        properties["reuse"]["anyOf"][0] |= {"enum": ["none"]}
    properties["reuse_scope"]["anyOf"][0] |= {"enum": list(reuse_scopes) or ["private"]}


def _name_adapters(properties: Schema, loras: Sequence[str], controls: Sequence[str]) -> None:
    """Add the names of adapters to `properties`."""
    for field, kind, names in (("loras", _LORA, loras), ("controls", _CONTROL, controls)):
        properties[field]["anyOf"][0] |= {"items": _named(kind, names)} if names else {"maxItems": 0}
    properties["lora"]["anyOf"][0] = _named(_OMNI_LORA, loras) if loras else {"type": "null"}


def _named(kind: str, names: Sequence[str]) -> Schema:
    return {"allOf": [{"$ref": kind}, {"properties": {"name": {"enum": list(names)}}}]}


def _sides(model: ModelSpec) -> Iterable[int]:
    return range(model.size_multiple, model.max_side + 1, model.size_multiple)
