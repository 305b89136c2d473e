"""Train a head on everything stored and labelled, and predict every batch with the champion."""

from prefect import flow
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.part_tasks import as_tasks
from flows.private_errors import run_without_leaks
from pipeline import config
from pipeline.report.training_summary import format_training
from pipeline.store.open_store import open_for_writing


@flow(name="train", task_runner=ThreadPoolTaskRunner(max_workers=1))
def train() -> int | State:
    """Train, promote unless worse, predict; returns the exit status 0."""
    settings = config.load()
    opened = open_for_writing(settings)

    def body() -> int | State:
        # Imported here, since it imports Keras: an error in the settings is told before that.
        from pipeline.learn.train import learn_and_predict

        trained, failures = learn_and_predict(opened, as_tasks)
        words = format_training(trained.card, trained.promoted, trained.words, settings)
        print("\n".join(words))
        return Failed(message=f"{len(failures)} parts failed") if failures else 0

    return run_without_leaks(body, opened)
