"""Train on request: the novelty model and a head on everything stored, then predict every batch."""

from pipeline.errors import NotEnoughData, StageFailed
from pipeline.learn.learn_novelty import fit_and_score, novelty_notes
from pipeline.learn.train_head import TrainedHeadResult, train_head
from pipeline.progress import log
from pipeline.stages.parts_loop import PartMap, one_by_one, run_over_parts
from pipeline.stages.predict import Head, predict_part
from pipeline.store import tables
from pipeline.store.open_store import OpenStore
from pipeline.store.registry import ModelChoice, champion, choose_models


def learn_and_predict(
    opened: OpenStore, map: PartMap = one_by_one, chosen: ModelChoice | None = None
) -> tuple[TrainedHeadResult, list[StageFailed]]:
    """Fit novelty, train a head, promote it unless worse, and predict the parts that lack it.

    On the embeddings of the `chosen` trunk; by default the one that a run uses. Raises
    NotEnoughData when there are too few labels for a head; novelty has been fitted then, if there
    were enough crops.
    """
    store = opened.store
    chosen = chosen or choose_models(opened.settings, store)
    failures = _fit_novelty(opened, chosen, map)
    trained = train_head(store, chosen, opened.settings, log.info)
    current = champion(store)
    if current is None or current["trunk"] != chosen.trunk_id:
        return trained, failures
    head = Head(store, current["head"])
    missing = tables.predictions(head.head_id).missing_from(store, chosen.features)
    for batch, numbers in missing.items():
        failures += run_over_parts(
            "predict",
            batch,
            lambda number, batch=batch: predict_part(store, batch, number, chosen, head),
            numbers,
            map,
            opened.private,
        )
    return trained, failures


def _fit_novelty(opened: OpenStore, chosen: ModelChoice, map: PartMap) -> list[StageFailed]:
    """Fit novelty and score every crop; with too few crops, only log that."""
    try:
        fitted, failures = fit_and_score(opened, chosen, map)
    except NotEnoughData as error:
        log.info("%s", error)
        return []
    for line in [] if failures else novelty_notes(fitted):
        log.info("%s", line)
    return failures
