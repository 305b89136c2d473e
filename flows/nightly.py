"""Every night: what is new in the inbox, reviewers' labels, training when due, one summary.

Takes no parameters: Prefect would store them, and a late run would use those of its schedule.
"""

from datetime import UTC, datetime

from prefect.states import State

from flows.flow_body import pipeline_flow, run_body
from flows.outcome import Outcome, night_outcome
from flows.part_tasks import as_tasks
from pipeline.errors import NightBusy
from pipeline.jobs import nightly as job
from pipeline.jobs.on_failure import report_failure
from pipeline.store.open_store import OpenStore


def run_name() -> str:
    """The name of a run on Prefect's pages."""
    return f"nightly {datetime.now(UTC):%Y-%m-%d %H:%M}"


@pipeline_flow("nightly", run_name)
def nightly() -> int | State:
    """Returns the exit status: 0, or 2 when a person has to look at something."""
    return run_body(_night, opening=report_failure)


def _night(opened: OpenStore) -> Outcome:
    try:
        night = job.nightly(opened, as_tasks)
    except NightBusy as busy:
        return Outcome([str(busy)], {"busy": str(busy)})
    return night_outcome(night, opened.settings)
