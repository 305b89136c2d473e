from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ArtifactError, ConfigError
from pipeline.store import catalog, parts
from tests.builders.stores import failed_checks
from tests.builders.tables import (
    crop_row,
    feature_row,
    label_row,
    novelty_row,
    prediction_row,
    promote,
    region_row,
    scan_row,
    write_table,
)

WIDTH = 4
A, B, C, D, E, F = (letter * 32 for letter in "abcdef")
VIEWS = sorted(path.stem[3:] for path in Path(catalog.SQL, "views").glob("*.sql"))
CHECKS = sorted(path.stem for path in Path(catalog.SQL, "checks").glob("*.sql"))


def label(scan_id, given, source="delivered", day=1):
    return label_row(f"{scan_id}:whole", given, source, day)


@pytest.fixture
def full(store):
    """Three accepted scans, a duplicate and a rejected one, all the way to a champion."""
    ledger = [
        scan_row(0, A),
        scan_row(1, B),
        scan_row(2, C),
        scan_row(3, A, "duplicate", duplicate_of="b"),
    ]
    write_table(store, "scans", [*ledger, scan_row(4, None, "rejected")])
    write_table(store, "crops", [crop_row(A), crop_row(B), crop_row(C)])
    directions = {A: (1, 0, 0, 0), B: (2, 0.5, 0, 0), C: (0, 1, 0, 0)}
    write_table(store, "features", [feature_row(each, place) for each, place in directions.items()])
    told = [prediction_row(A, 0.25), prediction_row(B, 0.75), prediction_row(C, 0.875, seen=True)]
    write_table(store, "predictions", told)
    write_table(store, "novelty", [novelty_row(A)])
    write_table(store, "labels", [label(A, "healthy"), label(B, "abnormal")])
    promote(store, 1)
    return store


def view(store, name, *columns):
    """Rows of a view as tuples; of one column, as values."""
    with catalog.open_store(store) as con:
        frame = con.table(name).to_arrow_table().to_pandas()
    if len(columns) == 1:
        return frame[columns[0]].tolist()
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_every_view_of_an_empty_store_is_empty_and_has_its_columns(store, full_columns):
    with catalog.open_store(store) as con:
        for name in VIEWS:
            rows = con.table(name).to_arrow_table()
            assert (name, rows.num_rows) == (name, 0)
            assert (name, rows.schema.names) == (name, full_columns[name])


@pytest.fixture
def full_columns(tmp_path_factory):
    """The columns of every view of a store where no table is empty."""
    other = parts.Store(str(tmp_path_factory.mktemp("other")))
    write_table(other, "scans", [scan_row(0, A)])
    for table, rows in {
        "crops": crop_row(A),
        "features": feature_row(A),
        "labels": label(A, "x"),
    }.items():
        write_table(other, table, [rows])
    write_table(other, "predictions", [prediction_row(A)])
    promote(other, 1)
    with catalog.open_store(other) as con:
        return {name: con.table(name).to_arrow_table().schema.names for name in VIEWS}


def test_every_query_and_check_of_an_empty_store_has_no_rows(store):
    with catalog.open_store(store.root) as con:
        for name, query in catalog.queries().items():
            required = [key for key, value in query.parameters.items() if value is catalog.REQUIRED]
            given = dict.fromkeys(required, "x")
            assert (name, len(catalog.query(con, name, **given))) == (name, 0)
        assert catalog.check(con) == []


def test_a_valid_store_passes_every_check(full):
    assert failed_checks(full) == {}


def test_a_batch_name_of_digits_stays_text(store):
    write_table(store, "scans", [scan_row(0, A, batch="20261123")], batch="20261123")
    assert view(store, "scans", "batch") == ["20261123"]


def test_the_last_attempt_of_a_file_counts(store):
    write_table(store, "scans", [scan_row(0, None, "rejected"), scan_row(1, B)])
    write_table(store, "scans", [scan_row(0, A, part=1, attempt=2, file_key="file0")], number=1)
    assert sorted(view(store, "scans_now", "scan_id", "attempt")) == [(A, 2), (B, 1)]
    assert len(view(store, "scans", "scan_id")) == 3


def again(attempt, scan_id, status, **more):
    return scan_row(0, scan_id, status, part=attempt - 1, attempt=attempt, **more)


@pytest.mark.parametrize(
    ("history", "counts"),
    [
        ([(A, "accepted"), (A, "duplicate")], (A, "accepted")),
        ([(A, "duplicate"), (A, "duplicate")], (A, "duplicate")),
        ([(A, "accepted"), (B, "duplicate")], (B, "duplicate")),
        ([(A, "accepted"), (A, "duplicate"), (None, "rejected")], (None, "rejected")),
        ([(A, "accepted"), (A, "duplicate"), (B, "accepted")], (B, "accepted")),
        ([(A, "accepted"), (B, "accepted"), (A, "duplicate")], (A, "accepted")),
        ([(None, "rejected"), (None, "rejected"), (A, "accepted")], (A, "accepted")),
    ],
)
def test_a_file_delivered_again_unchanged_stays_accepted(store, history, counts):
    for attempt, (scan_id, status) in enumerate(history, 1):
        write_table(store, "scans", [again(attempt, scan_id, status)], number=attempt - 1)
    found = [
        (None if status == "rejected" else scan_id, status)
        for scan_id, status in view(store, "scans_now", "scan_id", "status")
    ]
    assert found == [counts]


def test_the_label_in_force_is_the_newest_and_reviewers_come_before_deliveries(store):
    write_table(
        store, "labels", [label(A, "healthy", day=2), label(B, "healthy"), label(C, "healthy")]
    )
    write_table(
        store, "labels", [label(A, "abnormal", day=1), label(B, "abnormal", "r1")], number=1
    )
    write_table(store, "labels", [label(B, "healthy", day=9), label(C, None, "r1")], number=2)
    write_table(store, "labels", [label(D, None, day=1), label(D, "healthy", day=2)], number=3)
    found = sorted(view(store, "labels_now", "crop_id", "label", "source"))
    assert found == [
        (f"{A}:whole", "healthy", "delivered"),
        (f"{B}:whole", "abnormal", "r1"),
        (f"{D}:whole", "healthy", "delivered"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ([("healthy", "delivered")], [("healthy", "delivered")], False),
        ([("healthy", "delivered")], [("abnormal", "delivered")], True),
        ([("healthy", "delivered")], [("abnormal", "delivered"), ("healthy", "delivered")], False),
        ([], [("healthy", "delivered")], True),
        ([("healthy", "delivered")], [("healthy", "r1")], False),
        ([("abnormal", "r1")], [("healthy", "delivered")], False),
        ([("healthy", "delivered"), ("abnormal", "delivered")], [("healthy", "delivered")], True),
        ([("healthy", "delivered")], [(None, "r1")], True),
        ([("healthy", "delivered"), (None, "r1")], [("healthy", "delivered")], False),
        ([(None, "r1")], [("healthy", "r1")], True),
        ([], [(None, "r1")], False),
        ([("healthy", "delivered")], [], False),
    ],
)
def test_a_label_counts_as_new_when_the_label_in_force_has_changed_since(
    store, before, after, counts
):
    write_table(store, "features", [feature_row(A)])
    write_table(store, "features", [feature_row(A, trunk="t1")])
    given = [(5 - len(before) + day, *said) for day, said in enumerate(before)]
    given += [(6 + day, *said) for day, said in enumerate(after)]
    rows = [label(A, said, source, day) for day, said, source in given]
    for number, row in enumerate(rows):
        write_table(store, "labels", [row], number)

    found = ask(store, "new_labels", trunk="t0", since="2026-11-05T12:00:00+00:00")

    assert found.to_numpy().tolist() == [[f"{A}:whole", rows[-1]["labelled_at"]]] * counts


def test_the_newest_promotion_is_the_champion(full):
    promote(full, 10, head="h1")
    promote(full, 9, head="h2")
    assert view(full, "champion", "number", "head") == [(10, "h1")]
    assert view(full, "promotions", "number") == [1, 9, 10]
    assert view(full, "predictions_now", "head") == []
    write_table(full, "predictions", [prediction_row(A, head="h1")])
    assert view(full, "predictions_now", "head") == ["h1"]


def test_a_damaged_promotion_is_an_error_that_names_the_file(store):
    store.create("models/promotions/00001.json", b'{"recipe": "r0"}')
    with pytest.raises(ArtifactError, match=r"00001.json cannot be read .*expected JSON"):
        catalog.open_store(store)


def test_the_worklist_shows_unseen_crops_first_then_the_most_probably_abnormal(full):
    columns = ["rank", "scan_id", "p_abnormal", "flagged", "seen", "label", "box_x", "region_x"]
    rows = sorted(view(full, "worklist", *columns))
    assert [row[:5] for row in rows] == [
        (1, B, 0.75, True, False),
        (2, A, 0.25, False, False),
        (3, C, 0.875, True, True),
    ]
    assert [row[5] for row in rows[:2]] == ["abnormal", "healthy"]
    assert [row[6:] for row in rows] == [(3, 5)] * 3


def found(name, x, p_abnormal, **more):
    """A found place of scan A, 100 pixels wide on a scan 1000 high, and its prediction."""
    place = {"crop_id": f"{A}:{name}", "region": name, "region_kind": "tooth", "box_x": x}
    place |= {"box_y": 0, "box_w": 100, "box_h": 100, "scan_h": 1000}
    return feature_row(A, **place), prediction_row(A, p_abnormal, crop_id=place["crop_id"], **more)


def test_a_repeated_place_is_ranked_behind_all_others(store):
    places = [
        found("tooth-0", 0, 0.9),
        found("tooth-99", 99, 0.8),
        found("tooth-100", 100, 0.7),  # beside a likelier one that is itself listed again
        found("tooth-300", 300, 0.2),
        found("tooth-301", 301, 0.2),  # of two that are equally likely one comes first
        found("f0001-tooth-0", 0, 0.1),  # another picture
    ]
    write_table(store, "features", [place for place, _ in places])
    write_table(store, "predictions", [said for _, said in places])
    promote(store, 1)

    rows = sorted(view(store, "worklist", "rank", "region", "again"))

    assert [row[1:] for row in rows] == [
        ("tooth-0", False),
        ("tooth-301", False),
        ("f0001-tooth-0", False),
        ("tooth-99", True),
        ("tooth-100", True),
        ("tooth-300", True),
    ]


def test_a_crop_with_features_of_two_trunks_is_listed_once(full):
    write_table(full, "features", [feature_row(each, trunk="t1") for each in (A, B, C)])
    assert len(view(full, "worklist", "crop_id")) == 3


def ask(store, name, **given):
    with catalog.open_store(store) as con:
        return catalog.query(con, name, **given)


def test_problems_of_boxes_are_counted_by_batch_and_listed_by_scan(store):
    clipped = scan_row(0, A, box_problems=["clipped_box", "clipped_box", "two_classes"])
    outside = scan_row(1, B, box_problems=["box_outside"])
    write_table(store, "scans", [clipped, outside, scan_row(2, C)])
    counts = ask(store, "batches").iloc[0]
    assert (counts["clipped_boxes"], counts["boxes_outside"]) == (2, 1)
    listed = ask(store, "box_problems")[["kind", "scan_id", "boxes"]].to_numpy().tolist()
    assert listed == [["box_outside", B, 1], ["clipped_box", A, 2], ["two_classes", A, 1]]


def test_batches_counts_files_by_status(full):
    write_table(full, "scans", [scan_row(0, D, batch="later")], batch="later")
    assert ask(full, "batches").to_numpy().tolist() == [
        ["b", 5, 3, 1, 1, 3, 3, 3, 0, 0, 0, 0],
        ["later", 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_rejections_are_counted_by_reason(full):
    assert ask(full, "rejections").to_numpy().tolist() == [
        ["b", "undecodable", 1, "13 bytes that are no picture"]
    ]
    assert len(ask(full, "rejections", batch="other")) == 0


def test_class_balance_counts_crops_and_patients(full):
    write_table(full, "labels", [label(C, "healthy")], number=1)
    assert ask(full, "class_balance").to_numpy().tolist() == [
        ["b", "whole", "abnormal", 1, 1],
        ["b", "whole", "healthy", 2, 2],
    ]


def test_flagged_and_worklist_keep_the_order_and_the_limit(full):
    assert ask(full, "flagged")["scan_id"].tolist() == [B, C]
    assert ask(full, "worklist")["scan_id"].tolist() == [B, A, C]
    assert ask(full, "worklist", limit="1")["scan_id"].tolist() == [B]
    assert len(ask(full, "worklist", batch="other")) == 0


@pytest.mark.parametrize("name", ["labelled", "labelled_facts"])
def test_labelled_crops_are_of_the_champions_trunk_by_default(store, name):
    write_table(store, "labels", [label(each, "healthy") for each in (A, B, C)])
    write_table(store, "features", [feature_row(each) for each in (A, B)])
    write_table(store, "features", [feature_row(each, trunk="t1") for each in (B, C)])

    def listed(**given):
        return "".join(crop_id[0] for crop_id in ask(store, name, **given)["crop_id"])

    assert listed() == "abc"  # without a champion every crop, once
    promote(store, 1)
    assert listed() == "ab"
    promote(store, 2, trunk="t1")
    assert listed() == "bc"
    assert listed(trunk="t0") == "ab"


def test_a_doubtful_label_delivered_again_is_listed_under_the_batch_of_its_crop(full):
    judged = {"head": "h0", "trunk": "t0", "crop_id": f"{B}:whole", "label": "abnormal"}
    write_table(full, "out_of_fold", [judged | {"self_confidence": 0.25, "suggested": "healthy"}])
    write_table(full, "features", [feature_row(B, trunk="t1")])
    write_table(full, "labels", [label(B, "abnormal", day=2) | {"batch": "later"}], batch="later")

    expected = [["b", f"{B}:whole", "abnormal"]]
    for given in ({}, {"batch": "b"}):
        found = ask(full, "label_errors", **given)
        assert found[["batch", "crop_id", "label"]].to_numpy().tolist() == expected
    assert len(ask(full, "label_errors", batch="later")) == 0


def test_nearest_leaves_out_the_patient_and_other_trunks(full):
    write_table(full, "features", [feature_row(D, patient_key="p-a", trunk="t0")], number=1)
    write_table(full, "features", [feature_row(each, (9, 9, 9, 9), trunk="t1") for each in (A, B)])
    found = ask(full, "nearest", crop_id=f"{A}:whole")
    assert found["crop_id"].tolist() == [f"{B}:whole", f"{C}:whole"]
    assert found["similarity"].tolist() == pytest.approx([2 / np.sqrt(4.25), 0], abs=1e-6)
    own = ask(full, "nearest", crop_id=f"{A}:whole", k=1, own_patient="true")
    assert own["crop_id"].tolist() == [f"{D}:whole"]
    other = ask(full, "nearest", crop_id=f"{A}:whole", trunk="t1")
    assert other["similarity"].tolist() == pytest.approx([1])


def alike(row, scan_id, bits, patient, **more):
    facts = {"likeness": f"{bits:016x}", "patient_key": patient, "patient_from": "csv"}
    return scan_row(row, scan_id, **facts | more)


def test_near_duplicates_are_accepted_scans_that_differ_in_few_bits(store):
    rows = [alike(0, A, 0, "p"), alike(1, B, 0b111, "p"), alike(2, C, 0b11111 << 40, "q")]
    again = alike(3, A, 0, "p", status="duplicate", duplicate_of="b")
    write_table(store, "scans", [*rows, again, scan_row(4, D)])
    pairs = ask(store, "near_duplicates")[["distance", "scan_id", "other_scan_id"]]
    assert pairs.to_numpy().tolist() == [[3, A, B]]
    farther = ask(store, "near_duplicates", distance=8)
    assert farther["distance"].tolist() == [3, 5, 8]
    assert len(ask(store, "near_duplicates", batch="other")) == 0


def test_near_duplicates_are_also_scans_whose_centres_are_alike_in_one_view(store):
    draw = np.random.default_rng(1)
    bits = [int(each) for each in draw.integers(2**63, size=5)]
    views = [[0b1, 0xFFFF], [0xFF, 0b111], [0xFF000000, 0xFF << 40], None, [0xFF00FF, 0xFF000001]]
    rows = [
        alike(
            row, each, bits[row], f"p{row}", likeness_turned=views[row], batch="b" if row else "c"
        )
        for row, each in enumerate((A, B, C, D, E))
    ]
    write_table(store, "scans", rows[1:])
    write_table(store, "scans", rows[:1], batch="c")
    expected = [[1, C, E], [2, A, B]]
    for batch, found in ((None, expected), ("b", expected), ("c", expected[1:])):
        pairs = ask(store, "near_duplicates", batch=batch)
        assert pairs[["distance", "scan_id", "other_scan_id"]].to_numpy().tolist() == found
    assert len(ask(store, "misfiled")) == 2


def test_no_pair_of_near_duplicates_is_missed_at_any_distance(store):
    draw = np.random.default_rng(0)
    bits = [int(draw.integers(2**16)) * (2**48 + 2**21 + 1) % 2**64 for _ in range(60)]
    rows = [alike(row, f"{row:032x}", each, "p") for row, each in enumerate(bits)]
    write_table(store, "scans", rows)
    apart = [(a ^ b).bit_count() for place, a in enumerate(bits) for b in bits[:place]]
    for distance in (0, 3, 4, 11, 63):
        found = ask(store, "near_duplicates", distance=distance)["distance"].tolist()
        assert found == sorted(each for each in apart if each <= distance)


def test_near_duplicates_of_a_batch_are_all_pairs_with_a_scan_of_it(store):
    for batch, ids in (("b", (A, B)), ("c", (C, D)), ("d", (E, F))):
        rows = [alike(row, each, 1 << row, "p", batch=batch) for row, each in enumerate(ids)]
        write_table(store, "scans", rows, batch=batch)
    found = ask(store, "near_duplicates")
    assert len(found) == 15
    for batch in "bcd":
        mine = found[(found["batch"] == batch) | (found["other_batch"] == batch)]
        asked = ask(store, "near_duplicates", batch=batch)
        assert asked.to_numpy().tolist() == mine.to_numpy().tolist()


def test_near_duplicates_of_a_batch_take_little_memory_in_a_large_store(store):
    draw = np.random.default_rng(2)
    for batch, count in (("b", 10), ("c", 3000)):
        hashes = draw.integers(2**64, size=(count, 59), dtype=np.uint64).tolist()
        rows = [
            alike(row, f"{batch}{row:031x}", bits, "p", batch=batch, likeness_turned=views)
            for row, (bits, *views) in enumerate(hashes)
        ]
        write_table(store, "scans", rows, batch=batch)
    with catalog.open_store(store, "near_duplicates") as con:
        # 900 thousand bands of all scans would take 100 MB.
        con.execute("set threads = 2; set memory_limit = '50MB'; set temp_directory = ''")
        assert catalog.query(con, "near_duplicates", batch="b").empty


def test_similar_or_equal_scans_with_different_patient_ids_are_misfiled(store):
    twice = {"status": "duplicate", "duplicate_of": "b"}
    nobody = {"patient_from": "scan"}
    rows = [alike(0, A, 0, "p"), alike(1, B, 1, "q"), alike(2, C, 0, "r", **nobody)]
    write_table(store, "scans", [*rows, alike(3, B, 1, "s", **twice), alike(4, D, 0, "p")])
    found = ask(store, "misfiled")
    columns = ["distance", "scan_id", "patient_key", "other_scan_id", "other_patient_key"]
    assert found[columns].to_numpy().tolist() == [
        [0, B, "q", B, "s"],
        [1, A, "p", B, "q"],
        [1, A, "p", B, "s"],
        [1, B, "q", D, "p"],
        [1, B, "s", D, "p"],
    ]


def test_quality_counts_flags_and_rejections_by_flag(store):
    refused = {"reason": "quality", "detail": "blurred: sharpness is 3"}
    blurred = scan_row(0, A, quality_flags=["blurred"])
    both = scan_row(1, B, "rejected", quality_flags=["blurred", "dark"], **refused)
    write_table(store, "scans", [blurred, both, scan_row(2, C, quality_flags=[])])
    assert ask(store, "quality").to_numpy().tolist() == [
        ["b", "blurred", 2, 1],
        ["b", "dark", 1, 1],
    ]


def test_trunks_marks_the_champions_trunk(full):
    write_table(full, "features", [feature_row(A, trunk="t1")])
    assert ask(full, "trunks").to_numpy().tolist() == [
        ["t0", 3, 1, 3, True],
        ["t1", 1, 1, 1, False],
    ]


def test_every_query_of_the_code_runs_on_an_empty_store(store):
    values = {"since": "2026-11-01T00:00:00+00:00", "limit": 3, "scans": []}
    values |= {"crop_ids": ["x"]}
    with catalog.open_store(store.root) as con:
        for path in Path(catalog.SQL, "internal").glob("*.sql"):
            given = {
                name: values.get(name, "x")
                for name, default in catalog.read_query(path).parameters.items()
                if default is catalog.REQUIRED
            }
            assert (path.stem, len(catalog.query(con, path.stem, **given))) == (path.stem, 0)


def test_queries_of_the_code_are_not_listed_and_the_others_have_a_topic():
    internal = {path.stem for path in Path(catalog.SQL, "internal").glob("*.sql")}
    assert internal
    assert not internal & set(catalog.queries())
    assert {query.topic for query in catalog.queries().values()} == set(catalog.TOPICS)


def test_every_query_has_a_description_and_declares_its_parameters():
    known = catalog.queries()
    expected = {"batch": None, "audit": None, "limit": 20, "reviewer": None, "double_read": "audit"}
    assert known["worklist"].parameters == expected
    assert known["nearest"].parameters["crop_id"] is catalog.REQUIRED
    assert all(query.description.endswith(".") for query in known.values())


@pytest.mark.parametrize(
    ("says", "name", "given"),
    [
        ("no query `worklst`. Did you mean `worklist`", "worklst", {}),
        ("no parameter `limits`. Did you mean `limit`", "worklist", {"limits": 3}),
        ("no parameter `k`. It takes none", "batches", {"k": 3}),
        ("lacks crop_id: .* Give crop_id=…", "nearest", {}),
        ("was given limit='many': .*Correct the value", "worklist", {"limit": "many"}),
        ("was given limit=-1, expected 0 or more. Correct", "worklist", {"limit": "-1"}),
        ("was given limit=-1, expected 0 or more", "novel", {"limit": -1}),
        ("was given limit=-1, expected 0 or more", "label_errors", {"limit": "-1"}),
        ("was given limit=-1, expected 0 or more", "example_crops", {"limit": "-1"}),
        ("was given limit=-1, expected 0 or more", "found_teeth", {"limit": "-1"}),
        ("was given k=-1, expected 0 or more", "nearest", {"crop_id": "c", "k": "-1"}),
        ("was given bins=-1, expected 0 or more", "score_histogram", {"bins": "-1"}),
    ],
)
def test_a_wrong_query_or_parameter_is_an_error_that_says_what_to_give(full, says, name, given):
    with pytest.raises(ConfigError, match=says):
        ask(full, name, **given)


def test_opening_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no store at .*nowhere, expected a folder"):
        catalog.open_store(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def later(row, scan_id, status="accepted", **more):
    """A row of the second part."""
    return scan_row(row, scan_id, status, **{"part": 1, "file_key": f"later{row}"} | more)


VIOLATIONS = {
    "attempt_is_unique_per_file": ("scans", [later(0, D, file_key="file0")]),
    "crop_is_unique_in_crops": ("crops", [crop_row(A)]),
    "crop_is_unique_in_features": ("features", [feature_row(A)]),
    "crop_is_unique_in_novelty": ("novelty", [novelty_row(A)]),
    "crop_is_unique_in_predictions": ("predictions", [prediction_row(A)]),
    "crops_belong_to_accepted_scans": ("crops", [crop_row(D)]),
    "drawn_crops_have_regions": (
        "crops",
        [crop_row(A, region_kind="drawn", crop_id=f"{A}:drawn-1-2-3-4")],
    ),
    "duplicate_names_where_it_was_accepted": (
        "scans",
        [
            later(0, D, "duplicate", duplicate_of="b"),
            later(1, A, "duplicate"),
            later(2, D, duplicate_of="b", batch="other"),
        ],
    ),
    "features_belong_to_accepted_scans": ("features", [feature_row(D)]),
    "parts_reconcile": ("scans", [later(1, D)]),
    "novelty_has_features": ("novelty", [novelty_row(D)]),
    "predictions_have_features": ("predictions", [prediction_row(D)]),
    "probabilities_sum_to_one": (
        "predictions",
        [
            prediction_row(D, probabilities=[0.5, 0.25]),
            prediction_row(D, probabilities=[1.5, -0.5]),
            prediction_row(D, probabilities=None),
            prediction_row(D, p_abnormal=float("nan")),
        ],
    ),
    "only_rejected_scans_have_a_reason": (
        "scans",
        [later(0, D, reason="blurred"), later(1, None, "rejected", reason=None)],
    ),
    "region_is_new_once": ("regions", [region_row(A), region_row(A)]),
    "regions_belong_to_scans": ("regions", [region_row(D), region_row(A, batch="other")]),
    "scan_has_one_patient": (
        "features",
        [feature_row(A, crop_id=f"{A}:box", region="box", patient_key="p-other")],
    ),
    "scan_is_accepted_once": ("scans", [later(0, A)]),
    "status_is_known": ("scans", [later(0, D, "pending"), later(1, None), later(2, D, None)]),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_every_check_finds_its_violations(full, name):
    table, rows = VIOLATIONS[name]
    write_table(full, table, rows, number=1)
    assert len(failed_checks(full)[name]) == len(rows)


def test_every_check_is_tested_with_a_violation():
    assert {*VIOLATIONS, "features_match_crops"} == set(CHECKS)


def test_features_that_do_not_match_the_crops_are_found(full):
    write_table(full, "scans", [later(0, D)], number=1)
    write_table(full, "crops", [crop_row(D)], number=1)
    assert failed_checks(full) == {}  # a part that is not embedded yet
    write_table(full, "features", [feature_row(D, region="box", crop_id=f"{D}:box")], number=1)
    rows = failed_checks(full)["features_match_crops"]
    assert sorted(zip(rows["crop_id"], rows["fault"], strict=True)) == [
        (f"{D}:box", "no crop"),
        (f"{D}:whole", "no embedding"),
    ]


def test_crops_may_be_deleted(full):
    for name in full.names("crops"):
        full.remove(name)
    assert failed_checks(full) == {}
