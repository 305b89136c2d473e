"""Cross-validate head and baselines over patients, for sets too small for a test side alone."""

from dataclasses import asdict

from prefect.states import State

from flows.flow_body import pipeline_flow, run_body
from flows.outcome import Outcome
from pipeline.progress import log
from pipeline.report.training_summary import format_cross_validation
from pipeline.store.open_store import OpenStore
from pipeline.store.registry import choose_models


@pipeline_flow("cross-validate")
def cross_validate(folds: int) -> int | State:
    """Learn and measure in every fold, keep the record; returns the exit status 0."""
    return run_body(lambda opened: _cross_validate(opened, folds))


def _cross_validate(opened: OpenStore, folds: int) -> Outcome:
    # Imported here, since it imports Keras: an error in the settings is reported before that.
    from pipeline.learn.cross_validate import cross_validate

    settings, store = opened.settings, opened.store
    found = cross_validate(store, choose_models(settings, store), settings, folds, log.info)
    lines = format_cross_validation(found.record, found.name, settings)
    return Outcome(lines, asdict(found))
