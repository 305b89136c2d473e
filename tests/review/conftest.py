"""A small store to review: two batches, a champion, delivered labels, crops of an audit."""

import shutil

import pytest

from pipeline import config, schemas
from pipeline.store import catalog, tables
from tests.builders.champions import add_champion, predict, receive_and_embed
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store
from tests.builders.tables import write_rows

AUDITED = 2  # crops


def deliver_scans(folder, first, scans):
    """Scans of 90 × 120 with three boxes each, two scans a patient; most boxes are labelled."""
    lines = ["file,patient,x,y,w,h,tooth,label"]
    for number in range(first, first + scans):
        name = f"s{number}"
        write_files(folder, **{f"{name}_png": scan(120, 90, seed=number)})
        for place, tooth in enumerate((36, 46, 11)):
            label = ("healthy", "caries", "", "abscess")[(number + place) % 4]
            lines.append(f"{name}.png,p{number // 2},{5 + 28 * place},40,25,30,{tooth},{label}")
    return write_files(folder, labels_csv="\n".join(lines))


@pytest.fixture(scope="session")
def built_store(tmp_path_factory):
    """The folder of the store, its private folder and the delivered scans; never written to."""
    root = tmp_path_factory.mktemp("review")
    small = small_store(root, part_size=8)
    for batch, first, scans in (("one", 0, 6), ("two", 6, 2)):
        receive_and_embed(small, deliver_scans(root / batch, first, scans), batch)
    head = add_champion(small)
    for batch in ("one", "two"):
        predict(small, head, batch)
    with catalog.open_store(small.store) as con:
        lines = catalog.query(con, "worklist", batch="one").tail(AUDITED)
    rows = [
        {"batch": "one", "night": 0, **dict(row)}
        for row in lines[["crop_id", "scan_id", "patient_key"]].to_dict("records")
    ]
    write_rows(small.store, tables.AUDITS.part("one", 0), rows, schemas.AUDITS)
    return root


@pytest.fixture
def review_settings(built_store, tmp_path):
    """The settings of a copy of the store, for one test to write to."""
    return copied(built_store, tmp_path)


def copied(built_store, root):
    for name in ("store", "store.private"):
        shutil.copytree(built_store / name, root / name)
    given = small_store(built_store).settings
    return config.load(
        store=str(root / "store"),
        **{name: getattr(given, name) for name in given.model_fields_set - {"store"}},
    )
