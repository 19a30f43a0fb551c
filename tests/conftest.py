from __future__ import annotations

pytest_plugins = ["celeriac.testing.fixtures", "tests.features"]
