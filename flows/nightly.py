"""Every night: what is new in the inbox, reviewers' labels, training when due, one summary.

Takes no parameters: Prefect would store them, and a late run would use those of its schedule.
"""

from prefect import flow
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.part_tasks import as_tasks
from flows.private_errors import run_without_leaks
from pipeline import config
from pipeline.errors import NightBusy
from pipeline.jobs import nightly as stage
from pipeline.jobs.on_failure import report_failure
from pipeline.report.night_record import format_night
from pipeline.store.open_store import open_for_writing


@flow(name="nightly", task_runner=ThreadPoolTaskRunner(max_workers=1))
def nightly() -> int | State:
    """Returns the exit status: 0, or 2 when too many scans of a batch were rejected."""
    settings = config.load()
    with report_failure(settings):
        opened = open_for_writing(settings)

    def body() -> int | State:
        try:
            night = stage.nightly(opened, as_tasks)
        except NightBusy as busy:
            print(busy)
            return 0
        print("\n".join(format_night(night, settings)))
        if night.failures:
            return Failed(message=f"{len(night.failures)} failures; see reports/nightly.txt")
        return night.exit_status

    return run_without_leaks(body, opened)
