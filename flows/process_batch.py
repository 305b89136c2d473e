"""Take one batch from files to predictions and a report. The work does not know of Prefect."""

from dataclasses import asdict

from prefect.states import State

from flows.flow_body import Outcome, pipeline_flow, run_body
from flows.part_tasks import as_tasks
from pipeline.jobs.process_batch import run_batch
from pipeline.report.batch_summary import format_summary, public_lines
from pipeline.store.open_store import OpenStore


@pipeline_flow("process-batch", run_name="{batch}")
def process_batch(batch: str) -> int | State:
    """Process `batch`; safe to run again after a crash.

    Returns the exit status: 0, or 2 when too many scans were rejected.
    """
    return run_body(lambda opened: _process(opened, batch))


def _process(opened: OpenStore, batch: str) -> Outcome:
    summary = run_batch(opened, batch, as_tasks)
    failure = ""
    if summary.failures:
        failure = f"{len(summary.failures)} parts failed"
    elif summary.broken_checks:
        failure = f"{len(summary.broken_checks)} checks of the store failed"
    lines = format_summary(summary, opened.settings)
    return Outcome(
        lines,
        asdict(summary),
        summary.exit_status(opened.settings),
        failure,
        public_lines(summary, opened.settings),
    )
