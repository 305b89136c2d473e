"""Cut, embed and score the boxes that reviewers drew, without looking into any batch's folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.errors import BatchBusy
from pipeline.jobs.process_batch import BatchRun
from pipeline.stages.parts_loop import PartMap, one_by_one
from pipeline.store import tables
from pipeline.store.locks import batch_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.regions import parts_without
from pipeline.store.registry import champion, choose_models
from pipeline.store.tables import REGIONS


@dataclass
class DrawnRegionsResult:
    """What became of the drawn boxes that had no crop, embedding or scores."""

    boxes: int = 0  # that were cut
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def cut_drawn_regions(
    opened: OpenStore, batches: Iterable[str] | None = None, map: PartMap = one_by_one
) -> DrawnRegionsResult:
    """Do what is missing for the boxes drawn on scans of these batches, by default of all.

    They are cut from the original scans, embedded with the trunk of a run, scored by its novelty
    model and predicted by the champion. Safe to run again after a crash. A batch that another run
    is working on is left to that one, or to the next.
    """
    result = DrawnRegionsResult()
    for batch in batches_with_new_boxes(opened, batches):
        try:
            with batch_lock(opened.store, batch):
                _cut(opened, batch, map, result)
        except BatchBusy as busy:
            result.notes.append(str(busy))
    return result


def batches_with_new_boxes(
    opened: OpenStore, batches: Iterable[str] | None = None
) -> Iterator[str]:
    """Those of the batches, by default of all, with a drawn box without embedding or scores."""
    store, chosen = opened.store, choose_models(opened.settings, opened.store)
    current, made = champion(store), [chosen.features]
    if current and current["trunk"] == chosen.trunk_id:
        made.append(tables.predictions(current["head"]))
    for batch in REGIONS.batches(store) if batches is None else batches:
        if any(parts_without(store, batch, table) for table in made):
            yield batch


def _cut(opened: OpenStore, batch: str, map: PartMap, result: DrawnRegionsResult) -> None:
    run = BatchRun(opened, batch, map, only_new=True)
    try:
        summary = run.drawn()
    finally:
        run.close()
    result.boxes += summary.worked.get("cut drawn", 0)
    result.notes += summary.notes
    result.failures += summary.failures
