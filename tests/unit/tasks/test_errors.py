"""The error tree: its drawing, its texts, its way through a result backend."""

from __future__ import annotations

import inspect
import pickle
import string

import pytest
from celery.backends.base import Backend

from celeriac import create_celery_app, exceptions
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import CeleriacError, InvalidArguments, ResultTimeout, UnresolvableService

CLASSES = [each for _, each in inspect.getmembers(exceptions, inspect.isclass) if issubclass(each, CeleriacError)]
ABSTRACT = {
    "AccessError",
    "CeleriacError",
    "ConfigurationError",
    "CallError",
    "DeadLetterError",
    "HistoryError",
    "ResultError",
}


def drawn() -> dict[str, str | None]:
    """Class -> parent, as the docstring of the module draws them."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        left = line.split("  ", 2)[-1] if line.startswith("    ") else ""
        if not left or not line.startswith("    "):
            continue
        body = line[4:]
        name = body.lstrip("│├└─ ").split()[0] if body.strip("│ ") else ""
        if not name:
            continue
        depth = (len(body) - len(body.lstrip("│├└─ "))) // 4
        del path[depth:]
        parents[name] = path[-1] if path else None
        path.append(name)
    return parents


def sample(cls: type[CeleriacError]) -> CeleriacError:
    attributes = {name: 1.5 if name == "seconds" else f"the {name}" for name in fields(cls)}
    return cls(**attributes)


def fields(cls: type[CeleriacError]) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(cls.template) if name]


def test_the_drawing_is_the_tree():
    tree = {
        cls.__name__: next((base.__name__ for base in cls.__bases__ if issubclass(base, CeleriacError)), None)
        for cls in CLASSES
    }
    assert drawn() == tree


def test_all_errors_are_public():
    assert set(exceptions.__all__) == {cls.__name__ for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_each_class_says_in_a_sentence_what_it_is(cls):
    assert vars(cls)["__doc__"].strip().endswith(".")


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls.__name__ not in ABSTRACT])
def test_each_class_has_a_text_made_of_annotated_attributes(cls):
    assert "template" in vars(cls)
    assert fields(cls)
    assert set(fields(cls)) <= set(inspect.get_annotations(cls))
    error = sample(cls)
    for name in fields(cls):
        value = getattr(error, name)
        assert ("1.5" if name == "seconds" else str(value)) in str(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_each_error_survives_pickling_with_its_attributes(cls):
    error = sample(cls) if cls.__name__ not in ABSTRACT else cls("what went wrong")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is cls
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_each_error_comes_back_from_a_result_backend_as_itself(cls):
    error = sample(cls) if cls.__name__ not in ABSTRACT else cls("what went wrong")
    app = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "memory://"}))
    backend = Backend(app, serializer="json")
    stored = backend.decode(backend.encode(backend.prepare_exception(error)))
    again = backend.exception_to_python(stored)
    assert type(again) is cls
    assert str(again) == str(error)


def test_errors_are_also_what_python_calls_them():
    assert issubclass(InvalidArguments, TypeError)
    assert issubclass(ResultTimeout, TimeoutError)
    assert issubclass(exceptions.BrokerUnavailable, ConnectionError)
    assert issubclass(exceptions.UnknownTask, LookupError)


def test_a_path_of_needs_is_drawn_as_a_stair():
    error = UnresolvableService.along(["MailController", "MailService", "Mailer"], "nothing is registered for it")
    assert str(error) == (
        "the container cannot build MailController: nothing is registered for it\n"
        "MailController\n"
        "  └─ MailService\n"
        "    └─ Mailer  <- nothing is registered for it"
    )
