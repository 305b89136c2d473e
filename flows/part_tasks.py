"""A stage's parts as Prefect tasks: the map that the flows give to the loop over parts."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import TagsContext
from prefect.task_runners import ThreadPoolTaskRunner

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import ConfigError, StageFailed
from pipeline.jobs.part_work import PartWork
from pipeline.stages.parts_loop import StageRun

PARTS_IN_CLUSTER = 64  # at a time; each costs a waiting thread here


def as_tasks(stage: str, work: StageRun, numbers: Iterable[int]) -> list[object]:
    """Run `work` on every number as a task; results and StageFailed in the numbers' order.

    A task is one part: the unit that is written, retried and resumed. Finished parts are the
    cache, so Prefect's own stays off. Only errors that may be transient, such as those of a
    flaky disk, are retried; a rejected scan is a row already. A number becomes a task as soon as it
    comes, while tasks of earlier ones run.
    """
    with executor_of(config.load(), work) as (do, at_once):

        def one_part(part: int) -> object:
            return do(part)

        runner = task(
            one_part,
            name=stage,
            task_run_name=f"{stage} part {{part}}",
            retries=2,
            retry_delay_seconds=5,
            retry_condition_fn=is_transient,
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        # Without the tags of its flow run: for each task that has tags, the server is asked whether
        # they have a limit, which took 1.8 to 2.5 s where two stages began at once.
        with ThreadPoolTaskRunner(max_workers=at_once) as threads, TagsContext():
            futures = [threads.submit(runner, {"part": number}) for number in numbers]
            return [future.result(raise_on_failure=False) for future in futures]


@contextlib.contextmanager
def executor_of(
    settings: Settings, work: StageRun
) -> Iterator[tuple[Callable[[int], object], int]]:
    """The function that works on a part, by the setting `runner`, and how many parts at once."""
    if settings.runner == "threads" or not isinstance(work.work, PartWork):
        # One part at a time: inside a part decoding and embedding use every core already.
        yield work, 1
        return
    try:
        from flows.dask_cluster import connect
    except ImportError:
        raise ConfigError(
            'The setting `runner` is "dask", but Dask is not installed. Install it with '
            ".venv/bin/pip install -e '.[dask]', or leave `runner` out."
        ) from None
    with connect(settings, work.work) as cluster:
        yield partial(work.by, cluster.run_part), PARTS_IN_CLUSTER


def is_transient(task, task_run, state) -> bool:
    """Whether a retry may succeed."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, StageFailed) and failure.may_pass
