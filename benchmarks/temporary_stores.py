"""Temporary stores for one repeat each, with the default settings whatever the user's are."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import config
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.stages.plan import deliver, plan_batch
from pipeline.store.open_store import OpenStore, open_for_writing

BATCH = "bench"


@contextmanager
def fresh_store(root: Path, folder: Path) -> Iterator[OpenStore]:
    """A new store below `root` with `folder` as its batch; removed when the block ends."""
    with tempfile.TemporaryDirectory(dir=root, prefix="store-") as home:
        opened = open_for_writing(default_settings(Path(home)))
        deliver(folder, BATCH, opened)
        yield opened


def default_settings(home: Path) -> config.Settings:
    """The default settings, with the store and the private folder in `home`."""
    return config.load(
        store=f"{home}/store",
        private=home / "private",
        recipe=config.Recipe(),
        trunk=config.Trunk(),
        head=config.Head(),
        part_size=128,
    )


def planned_parts(opened: OpenStore) -> list[int]:
    """Plan the batch; the numbers of its parts."""
    plan_batch(BATCH, opened)
    return DeliveryLists(opened.private, BATCH).parts()
