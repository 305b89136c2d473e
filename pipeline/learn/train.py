"""Training on request, from everything stored: novelty and a head, then every batch's scores."""

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
    """Learn what is normal, train a head, promote it unless worse, and predict what is missing.

    On the embeddings of the `chosen` trunk; by default the one that a run uses.
    Raises NotEnoughData when there are too few labels for a head; what is normal was learned then,
    if there were crops enough.
    """
    store = opened.store
    chosen = chosen or choose_models(opened.settings, store)
    failures = _novelty(opened, chosen, map)
    trained = train_head(store, chosen, opened.settings, log.info)
    standing = champion(store)
    if standing is None or standing["trunk"] != chosen.trunk_id:
        return trained, failures
    head = Head(store, standing["head"])
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


def _novelty(opened: OpenStore, chosen: ModelChoice, map: PartMap) -> list[StageFailed]:
    """Learn what is normal by now and score every crop; too few crops are told, no more."""
    try:
        fitted, failures = fit_and_score(opened, chosen, map)
    except NotEnoughData as too_little:
        log.info("%s", too_little)
        return []
    for line in [] if failures else novelty_notes(fitted):
        log.info("%s", line)
    return failures
