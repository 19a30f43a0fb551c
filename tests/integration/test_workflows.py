"""Chains, groups and chords on real workers, on each pool."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from tests.kit.service import BrokenError

from celeriac import Progress, TaskState, chunked, gather

WAIT = 30


@pytest.mark.proves("S002-24", "S000-37")
def test_in_a_chain_the_result_of_one_is_the_first_argument_of_the_next(registry):
    step = registry.fetch_data.s("u").then(registry.process_data, factor=2).then(registry.save_results, label="x")
    assert step.delay().get(timeout=WAIT) == "x=12"


@pytest.mark.proves("S002-25", "S000-37")
def test_a_group_has_as_many_results_as_steps(registry):
    result = gather(*(registry.process_item.s(number) for number in (2, 3, 4))).delay()
    assert result.get(timeout=WAIT) == [4, 9, 16]
    assert result.state is TaskState.SUCCESS
    assert result.progress == Progress(3, 3, {})


@pytest.mark.proves("S002-26", "S000-37")
def test_a_chord_calls_back_once_with_all_results(registry, tmp_path):
    items = [registry.process_item.s(number) for number in (2, 3, 4)]
    assert gather(*items).then(registry.aggregate_results).delay().get(timeout=WAIT) == 29
    path = tmp_path / "callbacks"
    gather(*items).then(registry.write_down, path=path).delay().get(timeout=WAIT)
    gather(*items).then(registry.write_down, path=path).delay().get(timeout=WAIT)
    assert path.read_text().splitlines() == ["[4, 9, 16]", "[4, 9, 16]"]


@pytest.mark.proves("S004-18")
def test_chunks_run_side_by_side_and_are_summed_up(registry):
    sums = chunked(registry.aggregate_results, range(10), size=3)
    assert sums.delay().get(timeout=WAIT) == [3, 12, 21, 9]
    assert sums.then(registry.aggregate_results).delay().get(timeout=WAIT) == 45


def test_a_failed_step_is_the_workflows_error(registry):
    result = registry.fail.s("first").then(registry.aggregate_results).delay()
    with pytest.raises(BrokenError, match="first"):
        result.get(timeout=WAIT)


def test_a_secret_of_a_later_step_is_masked(registry, worker):
    assert registry.save_results.s(1, label="u").then(registry.login, SecretStr("geheim-9")).delay().get(WAIT) == 8
    assert "geheim-9" not in worker.log


def test_coroutines_start_workflows(registry):
    async def main():
        step = gather(registry.process_item.s(2), registry.process_item.s(3)).then(registry.aggregate_results)
        total = await (await step.adelay()).aget(timeout=WAIT)
        with pytest.raises(BrokenError, match="first"):
            await (await registry.fail.s("first").then(registry.aggregate_results).adelay()).aget(timeout=WAIT)
        return total

    assert asyncio.run(main()) == 13
