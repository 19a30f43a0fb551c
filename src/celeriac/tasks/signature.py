"""A task's signature as a contract: values in, plain JSON on the wire, values out again.

The caller's side is strict (an ``int`` is an ``int``, as the type checker has it), the worker's side reads JSON the way
pydantic reads JSON, so that messages of stock Celery, ``celery-node`` or ``send_task`` are understood.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import is_dataclass
from functools import cached_property, partial
from inspect import Parameter
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from celery.utils.saferepr import saferepr
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python
from typing_extensions import is_typeddict

from celeriac.exceptions import InvalidArguments, InvalidResult, InvalidTask
from celeriac.tasks.secrets import carries_secret, hidden, is_class_of, reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["TaskSignature"]

T = TypeVar("T")

_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants", extra="forbid")
_NOT_JSON = (b"NaN", b"Infinity")

type_name = inspect.formatannotation


def _problems(error: ValidationError) -> str:
    """``x: Input should be a valid integer; y.0: ...`` and never the input itself, which may be a secret."""
    lines = (
        ".".join(str(part) for part in detail["loc"]) + ": " + detail["msg"]
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    )
    return "; ".join(line.removeprefix(": ") for line in lines)


class TaskSignature:
    """The parameters and the result of one task.

    Raises:
        InvalidTask: an annotation cannot be resolved or is no type that JSON can carry.
    """

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self.task = task
        try:
            hints = get_type_hints(function, include_extras=True)
        except NameError as error:
            raise InvalidTask(task=task, problem=f"its annotations cannot be resolved: {error}") from error
        _, *parameters = inspect.signature(function).parameters.values()  # without self
        self.parameters = [parameter.replace(annotation=hints.get(parameter.name, Any)) for parameter in parameters]
        self.returns = hints.get("return", Any)
        self.inspected = inspect.Signature(self.parameters, return_annotation=self.returns)

    def __str__(self) -> str:
        return str(self.inspected).replace("NoneType", "None")  # which is how people write it

    @cached_property
    def _fields(self) -> dict[str, str]:
        """Parameter name to model field; the model's own names could clash with the parameters'."""
        return {parameter.name: f"parameter_{index}" for index, parameter in enumerate(self.parameters)}

    @cached_property
    def model(self) -> type[BaseModel]:
        """All arguments as one pydantic model, each under its parameter's name."""
        return self._model_of(self.parameters)

    @cached_property
    def _rest(self) -> type[BaseModel]:
        """The same without the first parameter, which a workflow fills in."""
        return self._model_of(self.parameters[1:])

    def _model_of(self, parameters: Sequence[Parameter]) -> type[BaseModel]:
        fields: dict[str, Any] = {}
        for parameter in parameters:
            annotation: Any = parameter.annotation
            default: Any = parameter.default
            if parameter.kind is Parameter.VAR_POSITIONAL:
                annotation, default = tuple.__class_getitem__((annotation, ...)), ()
            elif parameter.kind is Parameter.VAR_KEYWORD:
                annotation, default = dict.__class_getitem__((str, annotation)), {}
            given = ... if default is Parameter.empty else default
            fields[self._fields[parameter.name]] = (annotation, Field(given, alias=parameter.name))
        build: Callable[[], type[BaseModel]] = partial(create_model, "Arguments", __config__=_CONFIG, **fields)
        return self._built("its arguments", build)

    @cached_property
    def result(self) -> TypeAdapter[Any]:
        """The type the task returns."""
        return self._built("its result", lambda: TypeAdapter(self.returns, config=_adapter_config(self.returns)))

    def _built(self, what: str, build: Callable[[], T]) -> T:
        try:
            return build()
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
            problem = f"{what} cannot be carried as JSON: {str(error).splitlines()[0]}"
            raise InvalidTask(task=self.task, problem=problem) from error

    def prepare(self) -> None:
        """Build what is otherwise built at first use, so that a fault shows at start."""
        _ = self.model, self.result, self.secret_arguments, self.secret_result

    @cached_property
    def secret_arguments(self) -> bool:
        """Whether an argument holds a secret somewhere inside."""
        return any(carries_secret(parameter.annotation) for parameter in self.parameters)

    @cached_property
    def secret_result(self) -> bool:
        """Whether the result holds a secret somewhere inside."""
        return carries_secret(self.returns)

    # -- the caller's side

    def dump(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Check a call and turn its values into plain JSON, positional and keyword as they were given.

        Raises:
            InvalidArguments: wrong, missing or surplus arguments, or a value that JSON cannot carry.
        """
        if not self.parameters and not args and not kwargs:
            return [], {}
        return self._dump(self.model, args, self._bind(args, kwargs), kwargs)

    def dump_rest(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The same for a workflow step whose first argument is the result of the step before.

        Raises:
            InvalidArguments: as for :meth:`dump`, or the task takes no positional argument at all.
        """
        bound = self._bind((None, *args), kwargs)
        first = next(iter(self.parameters))
        if first.kind is Parameter.VAR_POSITIONAL:
            bound[first.name] = bound[first.name][1:]
            return self._dump(self.model, args, bound, kwargs)
        del bound[first.name]
        return self._dump(self._rest, args, bound, kwargs)

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The plain JSON of a call by parameter, with what defaults fill in.

        Raises:
            InvalidArguments: the call does not fit the signature.
        """
        return {**self._plain_defaults, **self._bind(args, kwargs)}

    @cached_property
    def _plain_defaults(self) -> dict[str, Any]:
        given = {each.name: each.default for each in self.parameters if each.default is not Parameter.empty}
        fields = {name: field for name, field in self._fields.items() if name in given}
        model = self._model_of([each for each in self.parameters if each.name in given])
        values = model.model_construct(**{fields[name]: value for name, value in given.items()})
        return self._plain(model, values, set(fields.values()))

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        # What inspect does, ten times as fast for a plain signature and a call that fits; it explains what does not.
        if self._plainly_named and len(args) <= len(self._positional):
            bound = {**dict(zip(self._positional, args, strict=False)), **kwargs}
            if len(bound) == len(args) + len(kwargs) and self._required <= bound.keys() <= self._fields.keys():
                return bound
        try:
            return self.inspected.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise self._refused(str(error)) from None

    @cached_property
    def _plainly_named(self) -> bool:
        """Whether every parameter may be named, and takes one value."""
        kinds = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
        return all(parameter.kind in kinds for parameter in self.parameters)

    @cached_property
    def _positional(self) -> tuple[str, ...]:
        named = (each for each in self.parameters if each.kind is Parameter.POSITIONAL_OR_KEYWORD)
        return tuple(parameter.name for parameter in named)

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(each.name for each in self.parameters if each.default is Parameter.empty)

    def _dump(
        self, model: type[BaseModel], args: Sequence[Any], bound: dict[str, Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        try:
            values = model.__pydantic_validator__.validate_python(bound, strict=True)
            plain = self._plain(model, values, {self._fields[name] for name in bound})
        except ValidationError as error:
            raise self._refused(_problems(error)) from None
        except (PydanticSerializationError, ValueError) as error:
            problem = f"a value cannot be carried as JSON: {error}"
            raise self._refused(problem) from None
        return self._as_called(len(args), plain, kwargs)

    def _plain(self, model: type[BaseModel], values: Any, fields: set[str]) -> dict[str, Any]:
        dump = model.__pydantic_serializer__.to_python
        if self.secret_arguments:
            kept = dump(values, mode="python", by_alias=True, include=fields, round_trip=True)
            plain = to_jsonable_python(reveal(kept), by_alias=True, bytes_mode="base64")
        else:
            plain = dump(values, mode="json", by_alias=True, include=fields, round_trip=True)
        return _proper_json(plain)

    def _as_called(
        self, positional: int, plain: dict[str, Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Split the named values again into positional and keyword arguments, as the caller wrote them."""
        args: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name not in plain:
                continue
            value = plain[parameter.name]
            if parameter.kind is Parameter.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is Parameter.VAR_KEYWORD:
                named.update(value)
            elif parameter.kind is Parameter.POSITIONAL_ONLY or (
                len(args) < positional and parameter.name not in kwargs
            ):
                args.append(value)
            else:
                named[parameter.name] = value
        return args, named

    def masked(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """``repr`` of the arguments as given: pydantic's secrets print as asterisks, and so does what becomes one."""
        secret, known = self._secret_names, self._fields
        rest = any(each.kind is Parameter.VAR_KEYWORD and each.name in secret for each in self.parameters)
        shown = [hidden(value) if name in secret else value for name, value in zip(self._names(), args, strict=False)]
        named = {
            name: hidden(value) if name in secret or (rest and name not in known) else value
            for name, value in kwargs.items()
        }
        return saferepr((*shown, *args[len(shown) :])), saferepr(named)

    @cached_property
    def _secret_names(self) -> frozenset[str]:
        return frozenset(each.name for each in self.parameters if carries_secret(each.annotation))

    def _names(self) -> Iterator[str]:
        """The parameter of each positional argument."""
        for parameter in self.parameters:
            if parameter.kind is Parameter.VAR_POSITIONAL:
                yield from repeat(parameter.name)
            yield parameter.name

    # -- the worker's side

    def load(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Turn a message's plain JSON into the values that the method declares.

        Raises:
            InvalidArguments: the message does not fit the signature.
        """
        if not self.parameters and not args and not kwargs:
            return [], {}
        bound = self._bind(args, kwargs)
        try:
            values = self.model.__pydantic_validator__.validate_json(to_json(bound))
        except ValidationError as error:
            raise self._refused(_problems(error)) from None
        given = {name: getattr(values, self._fields[name]) for name in bound}
        return self._as_called(len(args), given, kwargs)

    def dump_result(self, value: Any) -> Any:
        """Check what the task returned and turn it into plain JSON.

        Raises:
            InvalidResult: it is not of the declared type, or JSON cannot carry it.
        """
        adapter = self.result
        try:
            checked = adapter.validator.validate_python(value)
            if self.secret_result:
                kept = adapter.serializer.to_python(checked, mode="python", by_alias=True, round_trip=True)
                return _proper_json(to_jsonable_python(reveal(kept), by_alias=True, bytes_mode="base64"))
            return _proper_json(adapter.serializer.to_python(checked, mode="json", by_alias=True, round_trip=True))
        except ValidationError as error:
            raise self._strange(_problems(error)) from None
        except (PydanticSerializationError, ValueError) as error:
            problem = f"it cannot be carried as JSON: {error}"
            raise self._strange(problem) from None

    def load_result(self, plain: Any) -> Any:
        """The declared type again, from what the result backend holds.

        Raises:
            InvalidResult: another version of the task, or another task, stored something else.
        """
        try:
            return self.result.validator.validate_json(to_json(plain))
        except ValidationError as error:
            raise self._strange(_problems(error)) from None

    def _refused(self, problem: str) -> InvalidArguments:
        return InvalidArguments(task=self.task, signature=str(self), problem=problem)

    def _strange(self, problem: str) -> InvalidResult:
        return InvalidResult(task=self.task, declared=type_name(self.returns), problem=problem)


def _adapter_config(annotation: Any) -> ConfigDict | None:
    """Bytes as base64, where the type has no configuration of its own (then pydantic refuses another)."""
    return (
        None if is_class_of(annotation, BaseModel) or is_dataclass(annotation) or is_typeddict(annotation) else _CONFIG
    )


def _proper_json(plain: T) -> T:
    """Refuse NaN and infinity, which Python writes and no other JSON reader reads."""
    written = to_json(plain, inf_nan_mode="constants")
    if any(word in written for word in _NOT_JSON):
        json.dumps(plain, allow_nan=False)
    return plain
