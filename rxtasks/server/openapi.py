"""The description of the server as OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.1.html."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rxtasks import __version__
from rxtasks.platforms.gateway.bodies import FailureBody
from rxtasks.server.operations import KINDS, OPERATIONS, Operation

__all__ = ["described"]

_REFS = "#/components/schemas/{name}"
_JSON = "application/json"
_REF = (
    "`Task.ref`, percent-encoded as one segment of the path; or a bare id where the platform needs "
    "no more"
)
_FAILURE = "An error of `rxtasks.errors`, by the name of its class"
_LAST = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was read",
    "schema": {"type": "string"},
}


def described(kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """Describe a server.

    Args:
        kinds: What has tasks: agents, and workforces where the platform has any.
    """
    types = [t for each in OPERATIONS for t in (each.answer, each.body, each.query) if t]
    schemas, components = msgspec.json.schema_components(
        [*types, FailureBody], schema_hook=_text, ref_template=_REFS
    )
    by_type = dict(zip([*types, FailureBody], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        for kind in kinds if "{kind}" in operation.path else ("",):
            path = operation.path.replace("{kind}", kind)
            entry = _operation(operation, kind, by_type, components)
            paths.setdefault(path, {})[operation.method.lower()] = entry
    for operation in OPERATIONS:
        if operation.query is not None:  # told as parameters, and nowhere referred to
            components.pop(operation.query.__name__, None)
    scheme = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "rxtasks",
            "version": __version__,
            "description": "Tasks of AI agents, with their logs as streams of events.",
        },
        # Relative to this document: so it holds wherever the application is mounted.
        "servers": [{"url": "./"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": scheme}},
        "security": [{"token": []}],
    }


def _operation(
    operation: Operation, kind: str, by_type: Mapping[Any, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": f"{operation.name}_{kind}" if kind else operation.name,
        "summary": operation.summary,
        "responses": {
            str(operation.status): _answer(operation, by_type),
            "default": {
                "description": _FAILURE,
                "content": {_JSON: {"schema": by_type[FailureBody]}},
            },
        },
    }
    parameters = [_in_path(name) for name in re.findall(r"\{(\w+)\}", operation.path)]
    parameters = [each for each in parameters if each["name"] != "kind"]
    if operation.query is not None:
        parameters += _in_query(components[operation.query.__name__])
    if operation.stream:
        parameters.append(_LAST)
        made["responses"]["204"] = {"description": "The task was deleted: do not come back"}
    if parameters:
        made["parameters"] = parameters
    if operation.body is not None:
        made["requestBody"] = {
            "required": True,  # at least its type is: without, a page could send the request
            "content": {_JSON: {"schema": by_type[operation.body]}},
        }
    if operation.public:
        made["security"] = []
        made["responses"]["503"] = {**_answer(operation, by_type), "description": "Not any more"}
    return made


def _answer(operation: Operation, by_type: Mapping[Any, Any]) -> dict[str, Any]:
    if operation.stream:
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        return {"description": "Events, until the task is deleted", "content": content}
    if operation.answer is None:
        return {"description": "Done"}
    return {
        "description": "What was asked for",
        "content": {_JSON: {"schema": by_type[operation.answer]}},
    }


def _in_path(name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "in": "path", "required": True}
    if name == "ref":
        made["description"] = _REF
    return {**made, "schema": {"type": "string", "minLength": 1}}


def _in_query(component: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = component.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _plain(schema)}
        for name, schema in component["properties"].items()
    ]


def _text(type_: type) -> dict[str, Any]:
    """Describe what is no JSON by itself: a path, which is written as text."""
    del type_
    return {"type": "string"}


def _plain(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave null out: a query has a value, or is not there."""
    some = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return some[0] if len(some) == 1 else schema
