"""The database goes away and comes back."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url
from tests.faults.harness.forms import forms
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until

from celeriac.history.database import engine_of
from celeriac.history.records import HistoryFilter, HistoryState
from celeriac.history.schema import upgrade

WAIT = 90
pytestmark = [pytest.mark.xdist_group("history"), pytest.mark.timeout(180)]


@pytest.fixture(params=forms(["sqlite"], ["postgresql"]))
def kind(request):
    return request.param


@pytest.mark.proves("S001-19")
def test_while_the_database_is_away_events_wait(chronicled, tmp_path):
    chronicled.history.close()
    gone = tmp_path / "gone"
    gone.write_text("no directory, so there can be no file in it")
    worker = chronicled.start(env={"DATABASE_URL": f"sqlite:///{gone}/history.db"})
    results = [chronicled.app.send_task("echo", (number,)) for number in range(20)]
    assert [each.get(timeout=WAIT) for each in results] == list(range(20))
    assert worker.stop() == 0
    assert chronicled.redis.xlen("celeriac.history") >= 20

    chronicled.start()
    done = HistoryFilter(states=(HistoryState.SUCCEEDED,))
    until(lambda: chronicled.history.count(done) == 20, timeout=WAIT)
    until(lambda: chronicled.redis.xlen("celeriac.history") == 0, timeout=WAIT)


def test_a_database_without_tables_gets_them_outside_of_production(tmp_path):
    engine = engine_of(f"sqlite:///{tmp_path / 'new.db'}")
    upgrade(engine)
    upgrade(engine)
    engine.dispose()


def test_a_database_that_is_cut_off_gets_all_of_it_later(chronicled, url):
    if url.startswith("sqlite"):
        pytest.skip("a file cannot be cut off")
    address = make_url(url)
    with TcpProxy(address.port or 5432) as proxy:
        through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        chronicled.start(env={"DATABASE_URL": through})
        first = chronicled.send("echo", "before")
        until(lambda: chronicled.history.count() == 1, timeout=WAIT)
        proxy.refuse()
        proxy.reset()
        results = [chronicled.app.send_task("echo", (number,)) for number in range(50)]
        assert [each.get(timeout=WAIT) for each in results] == list(range(50))
        assert chronicled.redis.xlen("celeriac.history") >= 50
        assert chronicled.history.count() == 1
        assert chronicled.history.get(results[7].id).state is HistoryState.SUCCEEDED
        proxy.mend()
        done = HistoryFilter(states=(HistoryState.SUCCEEDED,))
        until(lambda: chronicled.history.count(done) == 51, timeout=WAIT)
        assert chronicled.history.get(first).result == "before"
