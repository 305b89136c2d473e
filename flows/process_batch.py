"""Take one batch from files to predictions and a report. The work does not know of Prefect."""

from prefect.states import State

from flows.flow_body import pipeline_flow, run_body
from flows.outcome import batch_outcome
from flows.part_tasks import as_tasks
from pipeline.jobs.process_batch import run_batch


@pipeline_flow("process-batch", run_name="{batch}")
def process_batch(batch: str) -> int | State:
    """Process `batch`; safe to run again after a crash.

    Returns the exit status: 0, or 2 when too many scans were rejected.
    """
    return run_body(
        lambda opened: batch_outcome(run_batch(opened, batch, as_tasks), opened.settings)
    )
