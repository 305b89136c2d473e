"""Training on request: a head from everything stored, then predictions of every batch."""

from pipeline.errors import StageFailed
from pipeline.stages.opening import Opened
from pipeline.stages.parts_loop import PartMap, one_by_one, over_parts
from pipeline.stages.predict import Head, predict_part
from pipeline.stages.progress import log
from pipeline.stages.registry import champion, choose
from pipeline.stages.train_head import Trained, train_head
from pipeline.store.parts import part_numbers, predictions_name


def learn_and_predict(
    opened: Opened, map: PartMap = one_by_one
) -> tuple[Trained, list[StageFailed]]:
    """Train a head, promote it unless it is worse, and predict what the champion has not yet.

    Raises NotEnoughData when there are too few labels.
    """
    store = opened.store
    chosen = choose(opened.settings, store)
    trained = train_head(store, chosen, opened.settings, log.info)
    standing = champion(store)
    failures: list[StageFailed] = []
    if standing is None or standing["trunk"] != chosen.trunk_id:
        return trained, failures
    head = Head(store, standing["head"])
    root = f"features/{chosen.trunk_id}"
    for batch in sorted({name.split("/")[2] for name in store.names(root)}):
        missing = [
            number
            for number in part_numbers(store, f"{root}/{batch}")
            if not store.has(predictions_name(head.head_id, batch, number))
        ]
        failures += over_parts(
            "predict",
            batch,
            lambda number, batch=batch: predict_part(store, batch, number, chosen, head),
            missing,
            map,
            opened.private,
        )
    return trained, failures
