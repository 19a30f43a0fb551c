"""The OpenAPI document: what FastAPI finds out, and the schemas that it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["with_definitions"]

_REF = "#/components/schemas/"


def with_definitions(document: dict[str, Any], *models: type[BaseModel]) -> dict[str, Any]:
    """The document with these models among its schemas, and with the ``$defs`` inside of operations moved there.

    A definition gets the name of its operation before its own: two tasks may each know an ``Address``.
    """
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for model in models:
        _add(schemas, model.__name__, model.model_json_schema(ref_template=f"{_REF}{{model}}"))
    paths: dict[str, dict[str, Any]] = document.get("paths", {})
    for operations in paths.values():
        for operation in operations.values():
            owner = str(operation.get("operationId", "")).removeprefix("run_")
            _lift(operation, schemas, owner)
            responses: dict[str, Any] = operation.get("responses", {})
            responses.pop("422", None) if _is_fastapis(responses.get("422")) else None
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return document


def _is_fastapis(response: Any) -> bool:
    """Whether a response is the one that FastAPI documents of itself, which no route of ours gives."""
    return "HTTPValidationError" in str(response)


def _add(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    for inner, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(inner, definition)
    schemas[name] = schema


def _lift(node: Any, schemas: dict[str, Any], owner: str) -> None:
    """Move every ``$defs`` below a node to the schemas of the document."""
    if isinstance(node, list):
        for each in cast("Any", node):
            _lift(each, schemas, owner)
        return
    if not isinstance(node, dict):
        return
    table = cast("dict[str, Any]", node)
    definitions: dict[str, Any] = table.pop("$defs", {})
    if definitions:
        names = {f"#/$defs/{name}": f"{_REF}{owner}.{name}" for name in definitions}
        _point(table, names)
        for name, definition in definitions.items():
            _point(definition, names)
            schemas[f"{owner}.{name}"] = definition
    for each in table.values():
        _lift(each, schemas, owner)


def _point(node: Any, names: dict[str, str]) -> None:
    if isinstance(node, list):
        for each in cast("Any", node):
            _point(each, names)
    elif isinstance(node, dict):
        table = cast("dict[str, Any]", node)
        if table.get("$ref") in names:
            table["$ref"] = names[str(table["$ref"])]
        mapping = cast("dict[str, str]", (table.get("discriminator") or {}).get("mapping") or {})
        mapping.update({key: names.get(place, place) for key, place in mapping.items()})
        for each in table.values():
            _point(each, names)
