"""Cross-validate head and baselines over patients, for sets too small for a test side alone."""

from prefect import flow
from prefect.states import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.private_errors import run_without_leaks
from pipeline import config
from pipeline.progress import log
from pipeline.report.training_summary import format_cross_validation
from pipeline.store.open_store import open_for_writing
from pipeline.store.registry import choose_models


@flow(name="cross-validate", task_runner=ThreadPoolTaskRunner(max_workers=1))
def cross_validate(folds: int) -> int | State:
    """Learn and measure in every fold, keep the record; returns the exit status 0."""
    settings = config.load()
    opened = open_for_writing(settings)

    def body() -> int:
        # Imported here, since it imports Keras: an error in the settings is told before that.
        from pipeline.learn import cross_validate

        store = opened.store
        chosen = choose_models(settings, store)
        found = cross_validate.cross_validate(store, chosen, settings, folds, log.info)
        print("\n".join(format_cross_validation(found.record, found.name, settings)))
        return 0

    return run_without_leaks(body, opened)
