"""Learn a trunk from everything stored, embed with it, and let a head on it be judged."""

from prefect import flow
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.part_tasks import as_tasks
from flows.private_errors import run_without_leaks
from pipeline import config
from pipeline.report.training_summary import format_learned_trunk
from pipeline.store.open_store import open_for_writing


@flow(name="learn-trunk", task_runner=ThreadPoolTaskRunner(max_workers=1))
def learn_trunk() -> int | State:
    """Learn, embed, train, promote unless worse; returns the exit status 0."""
    settings = config.load()
    opened = open_for_writing(settings)

    def body() -> int | State:
        # Imported here, since it imports Keras: an error in the settings is told before that.
        from pipeline.learn.learn_trunk import learn_trunk as learn

        learned = learn(opened, as_tasks)
        print("\n".join(format_learned_trunk(learned, settings)))
        failures = len(learned.failures)
        return Failed(message=f"{failures} parts failed") if failures else 0

    return run_without_leaks(body, opened)
