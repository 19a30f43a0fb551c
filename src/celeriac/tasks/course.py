"""How far the loops of one running task are: read when it begins, saved on the way, and settled at its end."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from celeriac.exceptions import InvalidIteration
from celeriac.tasks.interruption import GaveWay, Superseded
from celeriac.tasks.leaving import is_leaving
from celeriac.tasks.places import AFTER_SUCCESS, KEPT, OUT_OF_REACH, places_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celeriac.tasks.places import Places

__all__ = ["Course", "Place", "course_of"]

logger = logging.getLogger(__name__)

FORMAT: Final = 1
"""Of what is saved. A worker reads its own and no other."""


@dataclass(slots=True)
class Place:
    """How far one loop is."""

    at: Any = None
    """What ``cursor`` gave for the last item that is done; ``None`` before the first."""
    done: int = 0
    """Items that are done, in all runs of the task."""
    over: bool = False
    """Whether there were no more."""
    within: str | None = None
    """The loop in whose item this one was begun."""


class Course:
    """The places of all loops of one run of a task.

    Args:
        task: the task's name.
        task_id: its id.
        digest: of its arguments.
        places: where they are kept, or ``None``.
        gives_way: whether the task may end in its midst, to go on elsewhere.

    Raises:
        InvalidIteration: another version of this library saved them.
    """

    def __init__(self, task: str, task_id: str, digest: str, places: Places | None, *, gives_way: bool) -> None:
        self.task = task
        self.task_id = task_id
        self.loops: dict[str, Place] = {}
        self.resumed = False
        """Whether an earlier run left a place."""
        self._digest = digest
        self._places = places
        self._gives_way = gives_way
        self._finished = False
        self._run: int | None = None
        self._open: list[str] = []
        self._began: set[str] = set()
        self._unsaved = False
        self._saved_at = time.monotonic()
        self._complained = False
        if places is None:
            self._complain("there is no Redis to keep it")
        else:
            self._begin(places)

    # -- what loops ask for

    def begin(self, name: str) -> Place:
        """A loop begins: where an earlier run left it.

        Raises:
            InvalidIteration: another loop of that name was begun already.
        """
        if name in self._began:
            raise self._invalid(name, "the task has another loop of that name: give each its own `name=`")
        self._began.add(name)
        within = self._open[-1] if self._open else None
        self._open.append(name)
        place = self.loops.setdefault(name, Place(within=within))
        place.over = place.over or self._finished
        return place

    def advance(self, name: str, at: Any) -> None:
        """The item of a loop that was begun last is done, and what was begun within it with it.

        Raises:
            InvalidIteration: the loop was begun within an item of another one that is done.
        """
        place = self._known(name)
        place.at, place.done = at, place.done + 1
        self._forget_within(name)
        self._unsaved = True

    def is_due(self, save_every: float) -> bool:
        """Whether to :meth:`settle` before the next item."""
        return is_leaving() or (self._unsaved and time.monotonic() - self._saved_at >= save_every)

    def settle(self) -> None:
        """Between two items: save, and end here if the worker is about to end.

        Raises:
            GaveWay: it is, and the place is saved: another worker goes on from here.
            Superseded: another has gone on already.
        """
        saved = not self._unsaved or self._save()
        if saved and self._gives_way and is_leaving():
            logger.info("%s[%s] gives way, to go on elsewhere", self.task, self.task_id)
            raise GaveWay

    def end(self, name: str) -> None:
        """A loop has no more items."""
        self._known(name).over = self._unsaved = True
        if name in self._open:
            self._open.remove(name)

    def conclude(self, *, succeeded: bool) -> None:
        """The run has ended: nothing goes on after a success, and all else may. Raises nothing."""
        self._finished = succeeded
        if succeeded or self._unsaved:
            with suppress(Superseded):  # too late to matter here
                self._save(AFTER_SUCCESS if succeeded else KEPT)

    # -- keeping them

    def _begin(self, places: Places) -> None:
        try:
            self._run, state = places.begin(self.task_id)
        except OUT_OF_REACH as error:
            self._complain(error)
            return
        if state is None or self.loops:
            return
        said = json.loads(state)
        if said.get("format") != FORMAT:
            raise self._invalid(
                next(iter(said.get("loops", ())), ""),
                f"its place was saved in format {said.get('format')}, and this worker reads {FORMAT}: let a worker of"
                f" the other version run it, or delete the key celeriac.iteration:{self.task_id} to start anew",
            )
        if said["arguments"] != self._digest:
            logger.info("%s[%s] has other arguments than before and starts anew", self.task, self.task_id)
            return
        self.loops = {name: Place(**place) for name, place in said["loops"].items()}
        self._finished = said["finished"]
        self.resumed = True

    def _save(self, seconds: int = KEPT) -> bool:
        """Whether it is saved."""
        self._saved_at = time.monotonic()
        if self._places is None:
            return False
        if self._run is None:
            self._begin(self._places)
            if self._run is None:
                return False
        loops = {name: asdict(place) for name, place in self.loops.items()}
        state = {"format": FORMAT, "arguments": self._digest, "finished": self._finished, "loops": loops}
        try:
            last = self._places.save(self.task_id, self._run, json.dumps(state), seconds)
        except OUT_OF_REACH as error:
            self._complain(error)
            return False
        if not last:
            self._unsaved = False
            logger.warning("%s[%s] runs elsewhere by now, and ends here", self.task, self.task_id)
            raise Superseded
        self._unsaved = False
        return True

    def _invalid(self, loop: str, problem: str) -> InvalidIteration:
        return InvalidIteration(task=self.task, loop=loop, problem=problem)

    def _known(self, name: str) -> Place:
        if (place := self.loops.get(name)) is None:
            raise self._invalid(name, "the item of the outer loop in which it was begun is done already")
        return place

    def _forget_within(self, name: str) -> None:
        """Loops within an item begin anew with the next one."""
        for inner in [each for each, place in self.loops.items() if place.within == name]:
            del self.loops[inner]
            self._began.discard(inner)
            if inner in self._open:
                self._open.remove(inner)
            self._forget_within(inner)

    def _complain(self, problem: object) -> None:
        """Once: the task goes on."""
        if not self._complained:
            self._complained = True
            logger.warning(
                "the place of %s[%s] is not kept, and a run that follows repeats items: %s",
                self.task,
                self.task_id,
                problem,
            )


def course_of(task: Any) -> Course:
    """That of the run of one of Celery's tasks which is going on.

    Raises:
        InvalidIteration: another version of this library saved it.
    """
    request, eager = task.request, bool(task.request.is_eager)
    digest = _digest_of(request.args or (), request.kwargs or {})
    gives_way = not eager and bool(task.acks_late)  # else its message is gone already
    return Course(task.name, request.id, digest, places_of(task.app, eager=eager), gives_way=gives_way)


def _digest_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """What tells a task's arguments from others: who is sent again with other ones starts anew."""
    return sha256(json.dumps([list(args), dict(kwargs)], sort_keys=True, default=repr).encode()).hexdigest()[:16]
