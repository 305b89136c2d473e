"""A stage's parts as Prefect tasks: the map that the flows give to the loop over parts."""

from collections.abc import Callable, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.errors import StageFailed


def as_tasks(stage: str, work: Callable[[int], object], numbers: Sequence[int]) -> list[object]:
    """Run `work` on every number as a task; results and StageFailed in the numbers' order.

    A task is one part: the unit that is written, retried and resumed. Finished parts are the
    cache, so Prefect's own stays off. Only what can pass, such as a flaky disk, is tried again; a
    bad scan is a row already.
    """

    def one_part(part: int) -> None:
        work(part)

    runner = task(
        one_part,
        name=stage,
        task_run_name=f"{stage} part {{part}}",
        retries=2,
        retry_delay_seconds=5,
        retry_condition_fn=may_pass,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    futures = runner.map(list(numbers))
    return [future.result(raise_on_failure=False) for future in futures]


def may_pass(task, task_run, state) -> bool:
    """Whether trying again may help."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, StageFailed) and failure.may_pass
