"""Learn a trunk from everything stored, embed with it, and compare a head on it."""

from dataclasses import asdict

from prefect.states import State

from flows.flow_body import Outcome, pipeline_flow, run_body
from flows.part_tasks import as_tasks
from pipeline.report.training_summary import format_learned_trunk
from pipeline.store.open_store import OpenStore


@pipeline_flow("learn-trunk")
def learn_trunk() -> int | State:
    """Learn, embed, train, promote unless worse; returns the exit status 0."""
    return run_body(_learn)


def _learn(opened: OpenStore) -> Outcome:
    # Imported here, since it imports Keras: an error in the settings is reported before that.
    from pipeline.learn.learn_trunk import learn_trunk

    learned = learn_trunk(opened, as_tasks)
    failure = f"{len(learned.failures)} parts failed" if learned.failures else ""
    lines = format_learned_trunk(learned, opened.settings)
    return Outcome(lines, asdict(learned), failure=failure)
