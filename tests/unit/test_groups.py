"""Tests that share what takes long to start run in one process."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_the_group_of_a_test_reaches_whoever_shares_out_the_tests(request: pytest.FixtureRequest) -> None:
    if not hasattr(request.config, "workerinput"):
        pytest.skip("the tests run in one process: with --numprocesses they are shared out")
    assert request.node.nodeid.endswith("@together"), "pytest-xdist does not group under this release of pytest"
