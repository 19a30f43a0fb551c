"""Finding secrets in types, and taking them out of their wrapping where they must cross the wire."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from typing_extensions import is_typeddict

__all__ = ["carries_secret", "reveal"]

_SECRETS = (SecretStr, SecretBytes, Secret)


def carries_secret(annotation: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a value of this type can hold a pydantic secret, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, _SECRETS):
        return True
    try:
        if annotation in seen:
            return False
        seen |= {annotation}
    except TypeError:  # unhashable metadata inside Annotated
        pass
    inner = [*get_args(annotation), *_members(annotation)]
    return any(carries_secret(part, seen) for part in inner if not isinstance(part, str))


def _members(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [info.annotation for info in annotation.model_fields.values()]
    if is_typeddict(annotation) or (isinstance(annotation, type) and is_dataclass(annotation)):
        hints = get_type_hints(annotation, include_extras=True)
        names = hints if is_typeddict(annotation) else [field.name for field in fields(annotation)]
        return [hints[name] for name in names]
    return []


def reveal(value: Any) -> Any:
    """The same value with what is inside its secrets in their place, at any depth of dicts, lists, tuples and sets."""
    if isinstance(value, _SECRETS):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: reveal(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [reveal(each) for each in value]
    return value
