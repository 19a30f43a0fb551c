"""What canvases give: Celery's semantics, on our app, our transports and every pool.

Each case is one canvas and the value that Celery gives for it. That the values are Celery's own is shown by the stage
"stock", which runs no line of ours. The cases are those of Celery's integration suite, written anew.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import ImproperlyConfigured
from tests.kit.canvas import chain, chord, group
from tests.kit.stage import Stage, stages

WAIT = 15
ALL = stages("redis-lane")
SOME = stages("redis-prefork", "redis-threads", "redis-solo", "rabbitmq-lane", "rabbitmq-prefork", "stock-prefork")

Canvas = Callable[[SimpleNamespace], Any]

# A canvas by what it shows, and its value. Those in FEW also run where a whole table would take too long.
CASES: dict[str, tuple[Canvas, Any]] = {
    # chains
    "a chain": (lambda t: t.add.s(4, 4) | t.add.s(8) | t.add.s(16), 32),
    "a chain of one": (lambda t: chain(t.add.s(4, 4)), 8),
    "a chain of a chain of one": (lambda t: chain(chain(t.add.s(1, 2)), t.add.s(3)), 6),
    "a chain of chains": (lambda t: chain(chain(t.add.s(1, 2), t.add.s(3)), chain(t.add.s(4), t.add.s(5))), 15),
    "immutable steps take nothing": (lambda t: t.add.s(1, 1) | t.add.si(2, 2) | t.add.s(1), 5),
    "partial arguments come after": (lambda t: t.same.s("a") | t.add.s("b"), "ab"),
    "a chain that forks and ends in a group": (
        lambda t: t.add.s(2, 2) | group(t.add.s(4), t.add.s(8), t.add.s(16)),
        [8, 12, 20],
    ),
    "groups inside a chain": (
        lambda t: t.add.s(2, 2) | group(t.add.s(4) | t.add.s(5) | t.add.s(6), t.add.s(6) | t.add.s(8)),
        [19, 18],
    ),
    "a group of one in a chain": (lambda t: t.same.s(1) | group(t.add.s(1)) | t.add.s(1), 3),
    "a group at the start": (lambda t: group(t.add.s(1, 1), t.add.s(2, 2)) | t.total.s(), 6),
    "a group in the middle": (
        lambda t: t.same.s(1) | group(t.add.s(1), t.add.s(2)) | t.total.s() | t.add.s(10),
        15,
    ),
    "two groups in a row": (
        lambda t: group(t.add.s(1, 1), t.add.s(2, 2)) | group(t.total.s(), t.total.s()) | t.total.s(),
        12,
    ),
    "a group of groups in a chain": (
        lambda t: t.same.s(1) | group(group(t.add.s(1), t.add.s(2)), t.add.s(3)) | t.deep_total.s(),
        9,
    ),
    "a lone nested group at the end": (lambda t: chain(t.same.s(42), group(t.same.s(), t.same.s())), [42, 42]),
    "a chain of a group alone": (lambda t: chain(group(t.same.s(42), t.same.s(42))), [42, 42]),
    "a chain inside a group takes arguments": (
        lambda t: t.add.s(1, 2) | group(chain(t.add.s(3), t.add.s(4)), t.add.s(5)),
        [10, 8],
    ),
    "a chain of a task, a group and a chord": (
        lambda t: (
            t.add.s(1, 0) | group(t.add.s(1), t.add.s(2)) | t.total.s() | group(t.add.s(1), t.add.s(2)) | t.total.s()
        ),
        13,
    ),
    "a chain of chords as groups": (
        lambda t: chain(
            t.add.s(1, 1),
            group(t.add.s(1), t.add.s(1)),
            t.total.s(),
            t.add.s(1),
            group(t.add.s(1), t.add.s(1)),
            t.total.s(),
        ),
        16,
    ),
    "a chain of explicit chords": (
        lambda t: chain(
            chord([t.add.s(1, 2), t.add.s(3, 4)], t.total.s()),
            chord([t.add.s(5), t.add.s(6)], t.total.s()),
            t.add.s(7),
        ),
        38,
    ),
    "a chain of nine chords": (
        lambda t: chain(
            t.same.s(1), *(step for _ in range(9) for step in (group(t.add.s(1), t.add.s(1)), t.total.s()))
        ),
        1534,
    ),
    "a chain of a chord and a group": (
        lambda t: chain(group(t.add.s(1, 1), t.add.s(2, 2)), t.total.s(), group(t.add.s(1), t.add.s(2)), t.total.s()),
        15,
    ),
    "a chord, a chain, a chord": (
        lambda t: (
            chord([t.add.s(1, 2), chord([t.add.s(3, 4), t.add.s(5, 6)], t.total.s())], t.total.s())
            | t.add.s(1)
            | group(t.add.s(1), t.add.s(2))
            | t.total.s()
        ),
        47,
    ),
    # groups
    "a group": (lambda t: group(t.add.s(number, number) for number in range(5)), [0, 2, 4, 6, 8]),
    "a group of one": (lambda t: group([t.same.s(42)]), [42]),
    "a group in a group": (lambda t: group(t.add.s(1, 10), group(t.add.s(1, 100), t.add.s(1, 1000))), [11, 101, 1001]),
    "a group in a group in a group": (lambda t: group(group(group(t.same.s(42)))), [42]),
    "a group of chains": (lambda t: group(t.add.s(1, 1) | t.add.s(1), t.add.s(2, 2) | t.add.s(2)), [3, 6]),
    "a group of a chord": (lambda t: group(chord([t.same.s(1), t.same.s(2)], t.total.s()), t.same.s(4)), [3, 4]),
    "a chord of one in a group": (lambda t: group(chord([t.same.s(42)], t.same.s())), [[42]]),
    "chords of chains in a group": (
        lambda t: group(chord((chain(t.same.s(42), t.same.s()),), t.same.s()), t.same.s(31)),
        [[42], 31],
    ),
    "chords of everything in a group": (
        lambda t: group(
            chord(
                (
                    t.same.s(42),
                    chain(t.same.s(42), t.same.s()),
                    group(t.same.s(42), t.same.s(42)),
                    chord((t.same.s(42), t.same.s(42)), t.same.s()),
                ),
                t.same.s(),
            )
        ),
        [[42, 42, 42, 42, [42, 42]]],
    ),
    "a chord with a chain for its body, in a group": (
        lambda t: group(chord((t.same.s(42),), chain(t.same.s(), t.same.s()))),
        [[42]],
    ),
    "a large group": (lambda t: group(t.same.s(number) for number in range(300)), list(range(300))),
    # chords
    "a chord": (lambda t: chord((t.add.s(number, number) for number in range(5)), t.total.s()), 20),
    "a chord keeps the order of its header": (
        lambda t: chord((t.same.s(number) for number in range(20)), t.same.s()),
        list(range(20)),
    ),
    "a chord with an immutable body": (lambda t: chord([t.add.s(1, 1)], t.same.si("done")), "done"),
    "a chord of one": (lambda t: chord([t.add.s(2, 5)], t.add_to_all.s(9)), [16]),
    "a group of one before a task": (lambda t: group([t.add.s(2, 5)]) | t.add_to_all.s(9), [16]),
    "a chord with keywords": (lambda t: chord([t.add.s(x=1, y=2), t.add.s(1, y=1)], t.total.s()), 5),
    "a chord with the body's own arguments": (lambda t: chord([t.same.s(1), t.same.s(2)], t.add.s([3])), [1, 2, 3]),
    "nested chords": (
        lambda t: chord(
            [chord([t.add.s(1, 2), t.add.s(3, 4)], t.add.s([5])), chord([t.add.s(6, 7)], t.add.s([10]))],
            t.add_to_all.s(["A"]),
        ),
        [[3, 7, 5, "A"], [13, 10, "A"]],
    ),
    "nested chords as groups": (
        lambda t: (
            group(group(t.add.s(1, 2), t.add.s(3, 4)) | t.add.s([5]), group([t.add.s(6, 7)]) | t.add.s([10]))
            | t.add_to_all.s(["A"])
        ),
        [[3, 7, 5, "A"], [13, 10, "A"]],
    ),
    "four chords, one in another": (
        lambda t: (
            group([group([group([group([t.add.s(1, 2)]) | t.add.s([3])]) | t.add.s([4])]) | t.add.s([5])])
            | t.add.s([6])
        ),
        [[[[3, 3], 4], 5], 6],
    ),
    "a chord of chains": (
        lambda t: chord([chain(t.add.s(1, 1), t.add.s(1)), chain(t.add.s(2, 2), t.add.s(2))], t.total.s()),
        9,
    ),
    "a chain as a chord's body": (
        lambda t: chord([t.same.s(1), t.same.s(2)], chain(t.total.s(), t.add.s(3), t.add.s(4))),
        10,
    ),
    "a group as a chord's body": (
        lambda t: chord([t.same.s(1), t.same.s(2)], group(t.total.s(), t.total.s())),
        [3, 3],
    ),
    "a chord in a chord with chains": (
        lambda t: chord(
            group(
                chain(t.add.si(1, 2), chord(group(t.add.si(1, 2), t.add.si(1, 2)), t.add.si(1, 2))),
                chain(t.add.si(1, 2), chord(group(t.add.si(1, 2), t.add.si(1, 2)), t.add.si(1, 2))),
            ),
            t.add.si(2, 2),
        ),
        4,
    ),
    "a chord in a chain with arguments": (
        lambda t: chain(t.same.s(2), chord([t.add.s(1), t.add.s(2)], t.same.s()), t.same.s()),
        [3, 4],
    ),
    "a chain in a chain with arguments": (
        lambda t: chain(t.add.s(1, 1), chain(t.add.s(2), chain(t.add.s(3), t.add.s(4)))),
        11,
    ),
    "a group inside a chain inside a chord": (
        lambda t: chord(group(chain(t.same.s(42), group(t.same.s(), t.same.s()))), t.same.s()),
        [[42, 42]],
    ),
    "a chord in a group in a chord": (
        lambda t: chord(
            [group(chord([t.same.s(1), t.same.s(2)], t.total.s()), t.same.s(3)), t.same.s(4)], t.deep_total.s()
        ),
        10,
    ),
    "a large header": (lambda t: group(t.same.s(number) for number in range(200)) | t.total.s(), 19900),
    "a chain to a large header": (
        lambda t: t.same.si(1) | group(t.same.s() for _ in range(200)) | t.total.s(),
        200,
    ),
    "a chord of an upgraded chain": (
        lambda t: (
            group(t.same.si(1), chain(t.same.si(2), group(t.same.si(3), t.same.si(4)), t.total.s())) | t.total.s()
        ),
        8,
    ),
    # map, starmap, chunks
    "map": (lambda t: t.total.map([[1, 2], [3, 4], []]), [3, 7, 0]),
    "starmap": (lambda t: t.add.starmap([(1, 1), (2, 2)]), [2, 4]),
    "chunks": (lambda t: t.add.chunks([(n, n) for n in range(5)], 2).group(), [[0, 2], [4, 6], [8]]),
    "map in a chain": (lambda t: t.total.map([[1, 2], [3, 4]]) | t.total.s(), 10),
    # replace and widen
    "replaced by a task": (lambda t: t.becomes.si(other=t.add.s(1, 2)), 3),
    "replaced by a chain": (lambda t: t.becomes.si(other=t.add.s(1, 2) | t.add.s(3)), 6),
    "replaced by a group": (lambda t: t.add_to_all.s([1, 2], 3), [4, 5]),
    "replaced by what replaces itself": (
        lambda t: t.becomes.si(other=t.becomes.si(other=t.add.s(1, 2) | t.add.s(3)) | t.add.s(4)) | t.add.s(5),
        15,
    ),
    "the first of a chain is replaced": (
        lambda t: t.becomes.si(other=t.same.si(42) | t.same.s()) | t.add.s(1),
        43,
    ),
    "the middle of a chain is replaced": (
        lambda t: t.same.s(1) | t.becomes.s(other=t.add.s(1) | t.add.s(1)) | t.add.s(1),
        4,
    ),
    "the last of a chain is replaced": (lambda t: t.same.s(1) | t.becomes.s(other=t.add.s(1) | t.add.s(1)), 3),
    "a member of a group is replaced": (
        lambda t: group(t.same.s(1), t.becomes.si(other=t.same.si(2) | t.add.s(2)), t.same.s(3)),
        [1, 4, 3],
    ),
    "members of a group become groups and keep their order": (
        lambda t: group([t.add_to_all.s([2, 1], 1), t.add_to_all.s([4, 3], 1)] * 5),
        [[3, 2], [5, 4]] * 5,
    ),
    "a task of a header is replaced": (
        lambda t: chord([t.becomes.si(other=t.same.si(42) | t.same.s()), t.same.s(1)], t.total.s()),
        43,
    ),
    "the start of a chain in a header is replaced": (
        lambda t: chord([chain(t.becomes.si(other=t.same.si(42) | t.same.s()), t.same.s()), t.same.s(1)], t.total.s()),
        43,
    ),
    "the end of a chain in a header is replaced": (
        lambda t: chord([chain(t.same.si(41), t.becomes.s(other=t.add.s(1) | t.same.s())), t.same.s(1)], t.total.s()),
        43,
    ),
    "a body is replaced": (
        lambda t: chord([t.same.s(1), t.same.s(2)], t.becomes.s(other=t.total.s() | t.add.s(1))),
        4,
    ),
    "the middle of a body is replaced": (
        lambda t: chord(
            [t.same.s(1), t.same.s(2)], chain(t.total.s(), t.becomes.s(other=t.add.s(1) | t.add.s(1)), t.add.s(1))
        ),
        6,
    ),
    "a nested chord is replaced": (
        lambda t: chord(
            [
                chord([t.becomes.si(other=t.add.s(1, 2)), t.becomes.si(other=t.add.s(3, 4))], t.add.s([5])),
                chord([t.becomes.si(other=t.add.s(6, 7))], t.add.s([10])),
            ],
            t.add_to_all.s(["A"]),
        ),
        [[3, 7, 5, "A"], [13, 10, "A"]],
    ),
    "a header grows while it runs": (lambda t: chord([t.widen.s([1, 2, 3], 4)], t.total.s()), 18),
    "a header grows by a chord": (lambda t: group([t.widen_by_chord.s([1, 2, 3], 4)]) | t.total.s(), 18),
    # odds and ends
    "a task that starts a chain eagerly": (lambda t: t.eager_inside.s(), 9),
    "a signature that travelled": (
        lambda t: t.rebuilt.s(
            chain(t.add.s(1, 2), group(t.add.s(3), chord([t.same.s(), chain(t.same.s(), t.add.s(1))], t.total.s())))
        ),
        [
            "celery.chain",
            ["c.add"],
            [
                "celery.group",
                ["c.add"],
                ["celery.chord", ["c.same"], ["celery.chain", ["c.same"], ["c.add"]], ["c.total"]],
            ],
        ],
    ),
    "text of all languages": (lambda t: t.same.s("håå®ƒ valmuefrø 仕事 \U0001f331"), "håå®ƒ valmuefrø 仕事 \U0001f331"),
    "models": (lambda t: t.pair.s({"x": 1, "y": 2}), {"result": 3}),
}
FEW = (
    "a chain",
    "groups inside a chain",
    "a chain of explicit chords",
    "a group in a group",
    "nested chords",
    "a chord in a chord with chains",
    "chunks",
    "replaced by a group",
    "a header grows while it runs",
)


@pytest.mark.proves("S002-24", "S002-25", "S002-26", "S004-18")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stage", ALL, indirect=True)
def test_a_canvas_gives_what_celery_says(stage: Stage, case: str) -> None:
    canvas, expected = CASES[case]
    assert canvas(stage.t).apply_async().get(timeout=WAIT) == expected


@pytest.mark.proves("S002-24", "S002-25", "S002-26")
@pytest.mark.parametrize("case", FEW)
@pytest.mark.parametrize("stage", SOME, indirect=True)
def test_so_it_does_on_other_pools(stage: Stage, case: str) -> None:
    canvas, expected = CASES[case]
    assert canvas(stage.t).apply_async().get(timeout=WAIT) == expected


@pytest.mark.parametrize("stage", ALL, indirect=True)
def test_what_is_empty_is_done_at_once(stage: Stage) -> None:
    assert group(app=stage.app).apply_async().get(timeout=WAIT) == []
    assert chord([], stage.t.total.s(), app=stage.app)().get(timeout=WAIT) == 0


@pytest.mark.parametrize("stage", ALL, indirect=True)
def test_a_task_cannot_become_nothing(stage: Stage) -> None:
    with pytest.raises(ImproperlyConfigured, match="empty chain"):
        stage.t.becomes_nothing.delay().get(timeout=WAIT)
