"""Which calls a policy takes together: those whose arguments have the same value at one place."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pydantic import BaseModel
from pydantic_core import to_json
from typing_extensions import is_typeddict

from celeriac.error import nearest
from celeriac.exceptions import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celeriac.tasks.signature import TaskSignature

__all__ = ["CallKey"]

_DIGEST = 16


class CallKey:
    """Finds the value that a policy's ``key`` names, in the plain JSON of a call, and gives its digest.

    A digest, as a value can be long, personal or a secret, and what stands in a Redis key is shown to many.

    Args:
        signature: of the task.
        path: a parameter's name or a dotted path into it, or several; ``None`` for a task as a whole.
        policy: as it is called in errors.
        whole: whether ``None`` stands for all arguments rather than for the task.

    Raises:
        InvalidTask: no argument is there by that name.
    """

    def __init__(
        self, signature: TaskSignature, path: str | tuple[str, ...] | None, policy: str, *, whole: bool = False
    ) -> None:
        self._signature = signature
        self._whole = whole
        several = (path,) if isinstance(path, str) else path or ()
        self._paths = [_resolved(signature, each, policy) for each in several]

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The digest for a call; ``""`` where all calls of the task are taken together.

        Args:
            args: plain JSON, as messages carry it.
            kwargs: the same.

        Raises:
            InvalidArguments: the call does not fit the signature.
        """
        if not self._paths and not self._whole:
            return ""
        named = self._signature.named(args, kwargs)
        found = [_at(path, named) for path in self._paths]
        value: Any = named if not found else found[0] if len(found) == 1 else found
        return hashlib.blake2b(_canonical(value), digest_size=_DIGEST).hexdigest()


def _at(path: tuple[str, ...], value: Any) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return value  # pyright: ignore[reportUnknownVariableType]


def _canonical(value: Any) -> bytes:
    return to_json(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _sorted(value[key]) for key in sorted(value, key=str)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _resolved(signature: TaskSignature, path: str, policy: str) -> tuple[str, ...]:
    """The names under which messages carry what the path names."""
    first, *rest = path.split(".")
    known = {each.name: each for each in signature.parameters if each.kind not in _SEVERAL}
    if (parameter := known.get(first)) is None:
        hint = nearest(first, known)
        problem = f"the key of its {policy} names {first!r}, and it has no such parameter.{hint}"
        raise InvalidTask(task=signature.task, problem=problem.rstrip("."))
    names, annotation = [first], parameter.annotation
    for part in rest:
        inner = _fields_of(annotation)
        if inner is None:  # a plain dict, or anything: what is there shows when a call comes
            names.append(part)
            annotation = Any
            continue
        if part not in inner:
            problem = f"the key of its {policy} names {path!r}, and there is no {part!r} in it.{nearest(part, inner)}"
            raise InvalidTask(task=signature.task, problem=problem.rstrip("."))
        name, annotation = inner[part]
        names.append(name)
    return tuple(names)


_SEVERAL = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _fields_of(annotation: Any) -> dict[str, tuple[str, Any]] | None:
    """Field to its name on the wire and its type; ``None`` for what has no fields that are known."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {
            name: (info.serialization_alias or info.alias or name, info.annotation)
            for name, info in annotation.model_fields.items()
        }
    if is_typeddict(annotation):  # pyright: ignore[reportUnknownArgumentType]
        return {name: (name, hint) for name, hint in get_type_hints(annotation).items()}  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation)
        return {each.name: (each.name, hints[each.name]) for each in fields(annotation)}
    inner = [found for part in get_args(annotation) if (found := _fields_of(part)) is not None]
    return inner[0] if len(inner) == 1 and not isinstance(annotation, type) else None
