"""What the installed package says of its extras."""

from __future__ import annotations

import importlib.metadata
import re

import pytest


@pytest.mark.proves("S002-1", "H-8")
@pytest.mark.parametrize(("extra", "client"), [("redis", "redis"), ("rabbitmq", "amqp")])
def test_each_broker_is_an_extra_that_brings_its_client(extra, client):
    said = importlib.metadata.metadata("celeriac").get_all("Provides-Extra") or []
    assert extra in said
    brought = [each for each in importlib.metadata.requires("celeriac") or [] if each.endswith(f"extra == '{extra}'")]
    assert [re.split(r"[\[<>=~! ;]", each, maxsplit=1)[0] for each in brought] == [client]
    assert importlib.metadata.version(client), "and it can be installed: here it is"
