"""An example of what a JSON schema allows, for documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["example_of"]

_DEEPEST: Final = 6
_PLAIN: Final[Mapping[str, Any]] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_FORMATS: Final[Mapping[str, str]] = {
    "date-time": "2030-01-01T12:00:00Z",
    "date": "2030-01-01",
    "time": "12:00:00Z",
    "duration": "PT30S",
    "email": "ada@example.org",
    "uri": "https://example.org",
    "uuid": "0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55",
    "binary": "dGV4dA==",
    "base64": "dGV4dA==",
    "password": "secret",
}


def example_of(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that fits: what the schema names as an example or default, else the plainest one.

    Args:
        schema: a JSON schema as pydantic writes it.
        definitions: its ``$defs``.
        depth: how deep in it this is; deeper than six, nothing is made up any more.
    """
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    for one in ("const", "default"):
        if one in schema:
            return schema[one]
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return example_of(definitions.get(str(schema["$ref"]).rpartition("/")[2], {}), definitions, depth + 1)
    choices = next((schema[name] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)), None)
    return _of_type(schema, definitions, depth) if choices is None else example_of(choices[0], definitions, depth + 1)


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        properties = cast("dict[str, Any]", schema.get("properties") or {})
        wanted = schema.get("required") or list(properties)
        return {name: example_of(properties[name], definitions, depth + 1) for name in wanted if name in properties}
    if kind == "array":
        parts = cast("list[Any]", schema.get("prefixItems") or [])
        if parts:
            return [example_of(part, definitions, depth + 1) for part in parts]
        inner = cast("dict[str, Any]", schema.get("items") or {})
        return [example_of(inner, definitions, depth + 1)] if inner else []
    if kind == "string":
        text = _FORMATS.get(str(schema.get("format")), "text")
        return text.ljust(int(schema.get("minLength") or 0), "x")
    if kind in {"integer", "number"} and "minimum" in schema:
        return schema["minimum"]
    return _PLAIN.get(str(kind), {})
