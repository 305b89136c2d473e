"""Take one batch from files to predictions and a report. The work does not know of Prefect."""

from prefect import flow
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.part_tasks import as_tasks
from flows.private_errors import run_without_leaks
from pipeline import config
from pipeline.jobs.process_batch import run_batch
from pipeline.report.summary import format_summary
from pipeline.store.open_store import open_for_writing


# One part at a time: inside a part decoding and embedding use every core already, and parts that
# commit in order make the same bytes in every run.
@flow(name="process-batch", task_runner=ThreadPoolTaskRunner(max_workers=1))
def process_batch(batch: str) -> int | State:
    """Process `batch`, safe to run again; takes a name, since Prefect stores parameters.

    Returns the exit status: 0, or 2 when too many scans were rejected.
    """
    settings = config.load()
    opened = open_for_writing(settings)

    def body() -> int | State:
        summary = run_batch(opened, batch, as_tasks)
        print("\n".join(format_summary(summary, settings)))
        if summary.failures:
            return Failed(message=f"{len(summary.failures)} parts failed")
        if summary.broken_checks:
            return Failed(message=f"{len(summary.broken_checks)} checks of the store failed")
        return summary.exit_status(settings)

    return run_without_leaks(body, opened)
