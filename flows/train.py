"""Train a head on everything stored and labelled, and predict every batch with the champion."""

from dataclasses import asdict

from prefect.states import State

from flows.flow_body import pipeline_flow, run_body
from flows.outcome import Outcome
from flows.part_tasks import as_tasks
from pipeline.jobs.drawn_regions import cut_drawn_regions
from pipeline.report.next_command import page_link
from pipeline.report.training_summary import format_head_score, format_training
from pipeline.store.open_store import OpenStore


@pipeline_flow("train")
def train() -> int | State:
    """Train, promote unless worse, predict; returns the exit status 0."""
    return run_body(_train)


def _train(opened: OpenStore) -> Outcome:
    # Imported here, since it imports Keras: an error in the settings is reported before that.
    from pipeline.learn.train import learn_and_predict
    from pipeline.report.model_page import write_pages_of_new_head

    drawn = cut_drawn_regions(opened, map=as_tasks)
    trained, failures = learn_and_predict(opened, as_tasks)
    page = write_pages_of_new_head(opened.store, trained.head_id, opened.settings)
    lines = format_training(trained.card, trained.promoted, trained.words, opened.settings)
    if page:
        lines.insert(-1, f"Page: {page_link(opened.settings.store, page) or page}")
    lines += [f"  note  {note}" for note in drawn.notes]
    failures = [*drawn.failures, *map(str, failures)]
    values = {**asdict(trained), "failures": failures, "drawn": asdict(drawn)}
    verdict = "promoted" if trained.promoted else "not promoted"
    public = [*format_head_score(trained.card), f"Head {trained.head_id} was {verdict}."]
    public += [f"Page: {page} in the store"] if page else []
    failure = f"{len(failures)} parts failed" if failures else ""
    return Outcome(lines, values, failure=failure, public_lines=public)
