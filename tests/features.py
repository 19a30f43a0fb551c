"""The acceptance rows and the tests that prove them: a pytest plugin. ``make features`` prints the table."""

from __future__ import annotations

from pathlib import Path

import pytest

ROWS = Path(__file__).with_suffix(".tsv")


def rows() -> dict[str, str]:
    """Row id -> what it is about, in the order of the table."""
    lines = ROWS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--features", action="store_true", help="print which tests prove which row, and run none")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = rows()
    for item in items:
        for row in _proved_by(item):
            if row not in known:
                message = f"{item.nodeid} proves {row!r}, which is no row of {ROWS.name}"
                raise pytest.UsageError(message)


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.option.features:
        return None
    proofs: dict[str, list[str]] = {row: [] for row in rows()}
    for item in session.items:
        # Parametrised cases of one test are one proof.
        name = item.nodeid.split("[", 1)[0]
        for row in _proved_by(item):
            if name not in proofs[row]:
                proofs[row].append(name)
    _print(proofs)
    return True


def _proved_by(item: pytest.Item) -> list[str]:
    return [row for mark in item.iter_markers("proves") for row in mark.args]


def _print(proofs: dict[str, list[str]]) -> None:
    names = rows()
    width = max(map(len, names.values()))
    print()
    for row, tests in proofs.items():
        for position, test in enumerate(tests or ["-"]):
            print(f"{row if position == 0 else '':<8}{names[row] if position == 0 else '':<{width + 2}}{test}")
    missing = [row for row, tests in proofs.items() if not tests]
    print(f"\n{len(proofs) - len(missing)} of {len(proofs)} rows are proved. Without a proof:")
    print("  " + (", ".join(missing) or "none"))
