"""A task's message, rendered once with holes in it for what differs from call to call."""

from __future__ import annotations

import re
from contextlib import nullcontext
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from kombu import serialization
from kombu.utils.json import JSONEncoder, dumps

from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.publishing.message import envelope, properties_of
from celeriac.transport.publishing.shown import shown_args, shown_kwargs
from celeriac.transport.signing import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery import Celery

    from celeriac.transport.publishing.message import Binding, Layout
    from celeriac.transport.publishing.told import Told
    from celeriac.transport.signing import Signer

__all__ = ["HELD", "Camera", "Lineage", "Template", "Untemplated", "is_kombus_json"]

# Texts that stand for what is filled in later: as unlikely in a message as a UUID is in another's place.
_ID, _ROOT, _PARENT, _REPLY, _TAG, _BODY, _ARGS, _KWARGS, _SIGN, HELD = (
    f"{name}-{fresh_id()}" for name in "irptgbaksh"
)
_ARGS_SHOWN: Final = f"('{_ARGS}',)"
_KWARGS_SHOWN: Final = f"{{'{_KWARGS}': 0}}"
_HOLES: Final = {
    _ID: "id",
    f'"{_ROOT}"': "root",
    f'"{_PARENT}"': "parent",
    _REPLY: "reply_to",
    _TAG: "tag",
    _BODY: "body",
    _SIGN: "signature",
    HELD: "held",
    f'"{_ARGS_SHOWN}"': "argsrepr",
    f'"{_KWARGS_SHOWN}"': "kwargsrepr",
}
_CUT: Final = re.compile(f"({'|'.join(re.escape(text) for text in _HOLES)})")
_KOMBUS_JSON: Final = "application/json", "utf-8"
_encode: Final = JSONEncoder().encode


_CALL: Final = '["%(id)s",%(root)s,%(parent)s,%(what)s]'
_BARE_CALL: Final = '["%(id)s",%(root)s,%(parent)s,[[],{}]]'


class Untemplated(Exception):
    """The message of this task, with these options, cannot be rendered once for all calls."""


class Lineage(NamedTuple):
    """Whose child a call is."""

    root: str | None
    parent: str | None


class Template:
    """The message of one task with one set of options.

    Args:
        app: whose routing, options and defaults count.
        layout: how the app writes messages.
        task: its name.
        options: of Celery's ``send_task``.
        masked: whether each call says itself how its arguments are shown.
        told: tells the history, where one is kept.

    Raises:
        Untemplated: it goes through an exchange, or is serialized in another way than kombu's JSON.
    """

    def __init__(
        self,
        app: Celery,
        layout: Layout,
        task: str,
        options: Mapping[str, Any],
        *,
        masked: bool = False,
        told: Told | None = None,
    ) -> None:
        shown = {"argsrepr": _ARGS_SHOWN, "kwargsrepr": _KWARGS_SHOWN} if masked else {}
        said = _photograph(app, task, {**options, **shown})
        binding = layout.destination(said.pop("exchange"), said.pop("routing_key"), said.pop("declare"))
        body, headers = said.pop("body"), said.pop("headers")
        compression, serializer = said.pop("compression"), said.pop("serializer")
        if binding is None or compression or not is_kombus_json(serializer):
            raise Untemplated
        retry, policy = said.pop("retry"), said.pop("retry_policy")
        self.policy: Mapping[str, Any] | None = policy if retry else None
        """How to try again, if at all."""
        for name in ("timeout", "confirm_timeout", "mandatory", "immediate"):
            said.pop(name, None)
        self.binding: Binding = binding
        """The queue that it goes to."""
        self.ignores: bool = headers["ignore_result"]
        """Whether no result is kept."""
        self.timed = bool(headers["eta"] or headers["expires"])
        """Whether it names a moment, so that it cannot serve for long."""
        priority = said.pop("priority", 0) or 0
        self._signer: Signer | None = getattr(app.amqp, "signer", None)
        self.signed = self._signer is not None
        """Whether each message has a signature, so that no two are alike but for their ids."""
        if self._signer is not None:
            self._head = _with_holes(self._signer.head(headers, _KOMBUS_JSON[0]))
            headers = {**headers, SIGNATURE: _SIGN}
        self.key = layout.key(binding.queue, priority)
        """The list that it goes to."""
        text = envelope(
            layout,
            _BODY,
            content=_KOMBUS_JSON,
            headers=headers,
            properties=properties_of(said.pop("delivery_mode"), said.pop("expiration", None), said),
            priority=priority,
            queue=binding.queue,
            delivery_tag=_TAG,
        )
        self._layout = layout
        self._embedded = _encode(body[2])
        amqp: Any = app.amqp
        self._sizes = amqp.argsrepr_maxsize, amqp.kwargsrepr_maxsize, app.conf.task_repr_maxlevels
        self.told = told
        self.tale = "" if told is None else told.head(headers, binding.queue)
        """What the history hears of every call."""
        self._longest = told.longest if told is not None and not masked and told.keeps(task) else 0
        self._text = text
        self._nothing = {name: shown.replace("%", "%%") for name, shown in self._filling([], {}).items()}
        self._whole = _with_holes(text)
        self._bare = _with_holes(text, self._nothing)

    def render(
        self,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        reply_to: str,
        lineage: Lineage | None = None,
        masked: tuple[str, str] | None = None,
    ) -> bytes:
        """The message of one call.

        Args:
            task_id: a UUID.
            args: plain JSON.
            kwargs: plain JSON.
            reply_to: the sender's own id.
            lineage: of a call made inside a task.
            masked: how monitors may show the arguments, where they hold secrets.

        Raises:
            TypeError: JSON cannot carry an argument.
        """
        return self.render_told(task_id, args, kwargs, reply_to=reply_to, lineage=lineage, masked=masked)[0]

    def render_told(
        self,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        reply_to: str,
        lineage: Lineage | None = None,
        masked: tuple[str, str] | None = None,
        held: str = "",
    ) -> tuple[bytes, str]:
        """The message, and what the history hears of this call, if any is kept; arguments as of :meth:`render`.

        A plain word ``held`` stands in the place of :data:`HELD`.

        Raises:
            TypeError: JSON cannot carry an argument.
        """
        root, parent = (None, None) if lineage is None else lineage
        values = {
            "id": task_id,
            "root": f'"{task_id}"' if root is None else _encode(root),
            "parent": "null" if parent is None else _encode(parent),
            "reply_to": reply_to,
            "tag": fresh_id(),
            "held": held,
        }
        if self._signer is not None:
            body = f"[{_encode(args)}, {_encode(kwargs)}, {self._embedded}]"
            values["signature"] = self._signer.signature(self._head % values, body.encode())
        if args or kwargs or masked:
            values.update(self._filling(args, kwargs, masked))
            call = _CALL % values if self.told is not None else ""
            return (self._whole % values).encode(), call
        return (self._bare % values).encode(), _BARE_CALL % values if self.told is not None else ""

    def event(self, calls: str, *, packs: bool = True) -> bytes | None:
        """What the history hears of some calls of :meth:`render_told`; ``packs`` makes a whole command of it."""
        if self.told is None:
            return None
        event = self.told.event(self.tale, calls)
        return self.told.stream.add(event) if packs else event

    def bare_call(self, lineage: Lineage | None = None) -> str:
        """The call of :meth:`bare`, as a format string of ``id``."""
        root, parent = (None, None) if lineage is None else lineage
        said = "null" if root is None else _encode(root), "null" if parent is None else _encode(parent)
        return f'["%(id)s",{said[0]},{said[1]},[[],{{}}]]'.replace("%", "%%").replace("%%(id)s", "%(id)s")

    def bare(self, reply_to: str, lineage: Lineage | None = None) -> str:
        """The message of every call without arguments, unsigned, as a format string of ``id`` and ``tag``."""
        root, parent = (None, None) if lineage is None else lineage
        filled = {
            "root": '"%(id)s"' if root is None else _encode(root).replace("%", "%%"),
            "parent": "null" if parent is None else _encode(parent).replace("%", "%%"),
            "reply_to": reply_to.replace("%", "%%"),
        }
        return _with_holes(self._text, self._nothing | filled)

    def _filling(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], masked: tuple[str, str] | None = None
    ) -> dict[str, str]:
        """The body, and how the arguments are shown."""
        pair = f"[{_encode(args)}, {_encode(kwargs)}"
        if masked is None:
            args_size, kwargs_size, levels = self._sizes
            masked = shown_args(args, args_size, levels), shown_kwargs(kwargs, kwargs_size, levels)
        shown, named = encode_basestring_ascii(masked[0]), encode_basestring_ascii(masked[1])
        return {
            "body": self._layout.encode(f"{pair}, {self._embedded}]"),
            "argsrepr": shown,
            "kwargsrepr": named,
            "what": f"{pair}]" if len(pair) < self._longest else f"null,{shown},{named}",
        }


def _with_holes(text: str, filled: Mapping[str, str] | None = None) -> str:
    """The text as a format string: what stands for something else becomes ``%(name)s``, or what it is filled with."""
    pieces = _CUT.split(text)
    return "".join(
        (filled or {}).get(_HOLES[piece], f"%({_HOLES[piece]})s") if piece in _HOLES else piece.replace("%", "%%")
        for piece in pieces
    )


def is_kombus_json(serializer: Any) -> bool:
    """Whether a serializer is kombu's own JSON, and nobody has put another in its place."""
    known: Any = serialization
    found = known.registry._encoders.get(serializer)  # noqa: SLF001  kombu has no way to ask
    return found is not None and tuple(found) == (*_KOMBUS_JSON, dumps)


class Camera:
    """Stands where kombu's producer does, and keeps what Celery would have published."""

    serializer = None

    def __init__(self) -> None:
        self.connection = self
        self.taken: dict[str, Any] = {}

    def _reraise_as_library_errors(self) -> Any:
        return nullcontext()

    def publish(self, body: Any, **said: Any) -> None:
        """Keep it."""
        self.taken = {"body": body, **said}


def _photograph(app: Celery, task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    camera: Any = Camera()
    app.send_task(
        task,
        (_ARGS,),
        {_KWARGS: 0},
        task_id=_ID,
        root_id=_ROOT,
        parent_id=_PARENT,
        reply_to=_REPLY,
        producer=camera,
        add_to_parent=False,
        **options,
    )
    return cast("dict[str, Any]", camera.taken)
