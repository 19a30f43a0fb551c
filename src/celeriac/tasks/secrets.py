"""Finding secrets in types, and taking them out of their wrapping where they must cross the wire."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from typing_extensions import is_typeddict

__all__ = ["carries_secret", "hidden", "is_class_of", "reveal"]

_SECRETS = (SecretStr, SecretBytes, Secret)


def is_class_of(annotation: object, *bases: type) -> bool:
    """Whether an annotation is a plain class below one of ``bases``."""
    return isinstance(annotation, type) and issubclass(annotation, bases)


def carries_secret(annotation: Any, seen: frozenset[object] = frozenset()) -> bool:
    """Whether a value of this type can hold a pydantic secret, at any depth."""
    if is_class_of(annotation, *_SECRETS):
        return True
    try:
        if annotation in seen:
            return False
    except TypeError:  # unhashable metadata inside Annotated
        return any(carries_secret(part, seen) for part in get_args(annotation))
    inner: list[object] = [*get_args(annotation), *_members(annotation)]
    return any(carries_secret(part, seen | {annotation}) for part in inner if not isinstance(part, str))


def _members(annotation: Any) -> list[object]:
    if is_class_of(annotation, BaseModel):
        return [info.annotation for info in annotation.model_fields.values()]
    typed_dict = is_typeddict(annotation)
    if not typed_dict and not is_dataclass(annotation):
        return []
    hints = get_type_hints(annotation, include_extras=True)
    return [*hints.values()] if typed_dict else [hints[field.name] for field in fields(annotation)]


def hidden(value: Any) -> Any:
    """What may be shown of a value that is, or becomes, a secret: whatever hides its secrets by itself as it is."""
    kind = value.__class__
    if value is None or value is ... or is_class_of(kind, *_SECRETS, BaseModel) or is_dataclass(kind):
        return value
    if is_class_of(kind, list, tuple):
        return [hidden(each) for each in value]
    return "**********"


def reveal(value: Any) -> Any:
    """The same value with what is inside its secrets in their place, at any depth of dicts, lists, tuples and sets."""
    kind = value.__class__  # isinstance() would leave the checkers with types that they cannot know
    if is_class_of(kind, *_SECRETS):
        return value.get_secret_value()
    if is_class_of(kind, dict):
        return {key: reveal(each) for key, each in value.items()}
    if is_class_of(kind, list, tuple, set, frozenset):
        return [reveal(each) for each in value]
    return value
