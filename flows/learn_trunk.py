"""Learn a trunk from everything stored, embed with it, and compare a head on it."""

from dataclasses import asdict

from prefect.states import State

from flows.flow_body import pipeline_flow, run_body
from flows.outcome import Outcome
from flows.part_tasks import as_tasks
from pipeline.jobs.drawn_regions import cut_drawn_regions
from pipeline.report.training_summary import format_learned_trunk
from pipeline.store.open_store import OpenStore


@pipeline_flow("learn-trunk")
def learn_trunk() -> int | State:
    """Learn, embed, train, promote unless worse; returns the exit status 0."""
    return run_body(_learn)


def _learn(opened: OpenStore) -> Outcome:
    # Imported here, since it imports Keras: an error in the settings is reported before that.
    from pipeline.learn.learn_trunk import learn_trunk
    from pipeline.report.model_page import write_pages_of_new_head

    drawn = cut_drawn_regions(opened, map=as_tasks)
    learned = learn_trunk(opened, as_tasks)
    learned.failures += drawn.failures
    failure = f"{len(learned.failures)} parts failed" if learned.failures else ""
    if learned.trained:
        write_pages_of_new_head(opened.store, learned.trained.head_id, opened.settings)
    lines = format_learned_trunk(learned, opened.settings)
    lines += [f"  note  {note}" for note in drawn.notes]
    return Outcome(lines, asdict(learned), failure=failure)
