"""Temporary stores for one repeat each, with the default settings whatever the user's are."""

import shutil
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
def temporary_home(root: Path, template: Path | None = None) -> Iterator[Path]:
    """A folder below `root` for a store, removed when the block ends; a copy of `template`."""
    with tempfile.TemporaryDirectory(dir=root, prefix="store-") as home:
        if template:
            shutil.copytree(template, home, dirs_exist_ok=True)
        yield Path(home)


@contextmanager
def fresh_store(
    root: Path, folder: Path, template: Path | None = None, part_size: int = 128
) -> Iterator[OpenStore]:
    """A store below `root` with `folder` as its batch: a new one, or a copy of `template`."""
    with temporary_home(root, template) as home:
        opened = open_for_writing(default_settings(home, part_size))
        deliver(folder, BATCH, opened)
        yield opened


def default_settings(home: Path, part_size: int = 128) -> config.Settings:
    """The default settings, with the store and the private folder in `home`."""
    return config.load(
        store=f"{home}/store",
        private=home / "store.private",
        recipe=config.Recipe(),
        trunk=config.Trunk(),
        head=config.Head(),
        part_size=part_size,
    )


def planned_parts(opened: OpenStore) -> list[int]:
    """Plan the batch; the numbers of its parts."""
    plan_batch(BATCH, opened)
    return DeliveryLists(opened.private, BATCH).parts()
