"""Queries about delivered labels that came to nothing."""

from pipeline.store import catalog
from tests.builders.tables import feature_row, scan_row, write_labels, write_table

WHOLE, BOXED, PERIAPICAL = "a" * 32, "b" * 32, "c" * 32


def ask(store, name, **given):
    with catalog.open_store(store) as con:
        return catalog.query(con, name, **given)


def test_labels_of_whole_panoramics_that_no_crop_has_are_listed(store):
    scans = [(WHOLE, True), (BOXED, True), (PERIAPICAL, False)]
    write_table(store, "scans", [scan_row(n, s, panoramic=p) for n, (s, p) in enumerate(scans)])
    box = f"{BOXED}:box-1-2-3-4"
    crops = {WHOLE: f"{WHOLE}:tooth-1-2-3-4", BOXED: box, PERIAPICAL: f"{PERIAPICAL}:whole"}
    write_table(store, "features", [feature_row(s, crop_id=crop) for s, crop in crops.items()])
    labels = dict.fromkeys([f"{s}:whole" for s in crops] + [box], "caries")
    write_labels(store, labels)
    found = ask(store, "unused_labels", batch="b")
    assert list(found["scan_id"]) == [WHOLE]
    assert ask(store, "unused_labels", batch="other").empty


def test_scans_with_label_problems_are_listed_the_most_first(store):
    rows = [scan_row(n, s, label_problems=n) for n, s in enumerate((WHOLE, BOXED, PERIAPICAL))]
    write_table(store, "scans", rows)
    assert list(ask(store, "label_problems")["scan_id"]) == [PERIAPICAL, BOXED]
