"""The page of a batch: what stands on it, in which order, and what must never stand on it."""

import base64
import functools
import html
import json
import re

import numpy as np
import pytest

from pipeline import schemas
from pipeline.model.scores import metrics, splits
from pipeline.report import card_tables
from pipeline.report.batch import write_report
from pipeline.report.summary import Summary
from pipeline.stages.plan import PlannedBatch
from pipeline.store import catalog, parts, tables
from tests.builders import tables as builders
from tests.builders.tables import write_rows

SIDE, WIDTH, RECIPE, TRUNK, HEAD = 32, 4, "r0", "t0", "h0"
HOSTILE = '<script>alert("x")</script>'


def crop_id(number):
    return f"{number:032x}:box-{number}-2-30-40"


def facts(number, label=None):
    """The facts of one crop of its own scan, on a panoramic."""
    places = {f"{kind}_{side}": number + 1 for kind in ("box", "region") for side in "xywh"}
    return {
        **places,
        "crop_id": crop_id(number),
        "scan_id": f"{number:032x}",
        "batch": "b",
        "recipe": RECIPE,
        "patient_key": f"p{number}",
        "region": f"box-{number}-2-30-40",
        "region_kind": "box",
        "tooth": 36 if number == 3 else None,
        "scan_w": 300,
        "scan_h": 150,
        "panoramic": True,
        "label": label,
    }


def prediction(number, p_abnormal, seen):
    return {
        **{name: facts(number)[name] for name in ("crop_id", "scan_id", "batch", "patient_key")},
        "recipe": RECIPE,
        "trunk": TRUNK,
        "head": HEAD,
        "predicted": "caries" if p_abnormal > 0.5 else "healthy",
        "probabilities": [1 - p_abnormal, p_abnormal],
        "p_abnormal": p_abnormal,
        "flagged": p_abnormal >= 0.4,
        "seen": seen,
    }


def scan(row, **changes):
    accepted = {
        "batch": "b",
        "part": 0,
        "row": row,
        "attempt": 1,
        "file_key": f"f{row}",
        "scan_id": f"{row:032x}",
        "status": "accepted",
        "format": "jpeg",
        "width": 300,
        "height": 150,
        "bits": 8,
        "bits_from": "file",
        "colour": False,
        "panoramic": True,
        "label_problems": 0,
    }
    return accepted | changes


def rejected(row, detail="too short"):
    unread = dict.fromkeys(("width", "height", "bits", "bits_from", "colour", "panoramic"))
    reason = {"status": "rejected", "reason": "undecodable", "detail": detail}
    return scan(row, **unread, **reason, format=None, label_problems=2)


def write_scans(store, rows):
    write_rows(store, tables.SCANS.part("b", 0), rows, schemas.SCANS)


def write_crops(store, rows, number=0):
    """Crops of random pixels, and their features."""
    noise = np.random.default_rng(number)
    pixels = [{**row, "pixels": noise.bytes(SIDE * SIDE)} for row in rows]
    write_rows(store, tables.crops(RECIPE, SIDE).part("b", number), pixels, schemas.crops(SIDE))
    embedded = [{**row, "trunk": TRUNK, "embedding": np.ones(WIDTH, np.float16)} for row in rows]
    write_rows(
        store, tables.features(TRUNK, WIDTH).part("b", number), embedded, schemas.features(WIDTH)
    )


def write_labels(store, labels):
    builders.write_labels(store, {crop_id(number): label for number, label in labels.items()})


def write_card(store, home, card):
    made = {"made_at": "2026-11-23T21:00:00+00:00", "device": "cpu", "backend": "tensorflow"}
    builders.write_card(store, f"models/{home}", card | made)


def write_trunk(store):
    recipe = {"side": SIDE, "panoramic_share": 0.28, "other_share": 0.6}
    card = {"recipe": recipe, "settings": {"layers": [{"filters": 4, "kernel": 9}]}}
    facts = {"weights": "random, seed 0", "parameters": 976, "width": WIDTH}
    write_card(store, f"trunks/{TRUNK}", card | facts)


@functools.cache
def evaluation(rows=300, skill=1.0):
    """A real evaluation of a method that knows `skill` of the truth."""
    draw = np.random.default_rng(5)
    truth = draw.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(skill * (truth - 0.5) * 4 + draw.normal(size=rows))))
    patients = [f"p{number // 2}" for number in range(rows)]
    probabilities = np.stack([1 - score, score], axis=1)
    classes = ["healthy", "caries"]
    return metrics.evaluate(
        truth, probabilities, patients, splits.sides(patients), classes, "healthy"
    ).as_dict()


def head_card(**changes):
    return {
        "trunk": TRUNK,
        "classes": ["healthy", "caries"],
        "normal_class": "healthy",
        "threshold": 0.4,
        "settings": {"units": [16, 8]},
        "rows": {"train": 200, "validation": 50, "test": 50},
        "split": "train 100 patients",
        "region_kinds": {"box": 300},
        "scores": {"head": evaluation(), "probe": evaluation(skill=0.5)},
    } | changes


def write_head(store, **changes):
    write_card(store, f"heads/{HEAD}", head_card(**changes))
    promotion = {"recipe": RECIPE, "trunk": TRUNK, "head": HEAD}
    store.write_bytes("models/promotions/00001.json", json.dumps(promotion).encode())


def summary_of(store, head=None, **changes):
    """The summary of a run that has just made what is in the store."""
    with catalog.open_store(store) as con:
        counts = catalog.query(con, "batches").drop(columns="batch").iloc[0]
    times = {"receive": 2.5, "embed": 4.0, "check": 0.01}
    made = {"counts": {name: int(value) for name, value in counts.items()}, "seconds": times}
    return Summary("b", RECIPE, TRUNK, head, worked={"receive": 1}, **made | changes)


def page(store, summary):
    return store.read_bytes(write_report(store, summary)).decode()


def visible(text):
    """What a reader sees: the text without tags, its spaces made single."""
    return " ".join(
        html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.S)).split()
    )


@pytest.fixture
def unranked(store):
    """Four accepted scans with a crop each, and one rejected scan; no head."""
    write_scans(store, [*(scan(row) for row in range(4)), rejected(4)])
    write_crops(store, [facts(number) for number in range(2)])
    write_crops(store, [facts(number) for number in range(2, 4)], number=1)
    write_labels(store, {0: "healthy", 2: "caries"})
    write_trunk(store)
    return store


SCORES = {0: (0.95, True), 1: (0.2, False), 2: (0.7, False), 3: (0.9, False)}
IN_ORDER = [3, 2, 1, 0]  # unseen first, then the likeliest abnormal


@pytest.fixture
def ranked(unranked):
    write_head(unranked)
    rows = [prediction(number, *score) for number, score in SCORES.items()]
    write_rows(unranked, tables.predictions(HEAD).part("b", 0), rows, schemas.PREDICTIONS)
    return unranked


def shown_ids(text):
    return re.findall(r'<span class="id">([^<]*)</span>', text.replace("<wbr>", ""))


def test_the_page_is_for_its_owner_alone(ranked):
    name = write_report(ranked, summary_of(ranked, HEAD))
    assert name == "reports/b.html"
    assert ranked.local_path(name).stat().st_mode & 0o777 == 0o600


def test_the_page_needs_nothing_but_itself_and_runs_nothing(ranked):
    text = page(ranked, summary_of(ranked, HEAD))
    assert "://" not in text
    assert "<script" not in text
    addresses = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', text)
    assert addresses
    assert all(
        (one or other).startswith(("data:image/png;base64,", "#")) for one, other in addresses
    )


def test_the_page_says_what_it_is_not_for_and_what_it_holds(ranked):
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    assert "For research, not for diagnosis." in text
    assert "pseudonymised health data" in text
    assert "anonymous" not in text


def test_the_same_store_and_summary_give_the_same_bytes(ranked):
    summary = summary_of(ranked, HEAD)
    assert page(ranked, summary) == page(ranked, summary)


def test_the_gallery_is_in_the_order_of_the_work_list(ranked):
    text = page(ranked, summary_of(ranked, HEAD))
    assert shown_ids(text) == [crop_id(number) for number in IN_ORDER]
    said = visible(text)
    assert "1. p 0.900 flagged unseen predicted caries no label · tooth 36" in said
    assert (
        "2. p 0.700 flagged unseen predicted caries label caries box, 3 × 3 px at x 3, y 3" in said
    )
    assert "4. p 0.950 flagged seen predicted caries label healthy" in said
    assert "3 of 4 crops are flagged. Patients that the head did not learn from (3 crops)" in said


def test_crops_of_the_audit_are_marked_and_stand_behind_the_first(ranked):
    drawn = {name: facts(1)[name] for name in ("batch", "crop_id", "scan_id", "patient_key")}
    write_rows(ranked, tables.AUDITS.part("b", 0), [{**drawn, "night": 0}], schemas.AUDITS)
    text = page(ranked, summary_of(ranked, HEAD))
    assert shown_ids(text) == [crop_id(number) for number in (3, 2, 0, 1)]
    assert "4. p 0.200 audit unseen" in visible(text)


def test_an_alert_of_drift_stands_before_anything_ranked(ranked):
    words = "Scans of modality PX differ from the reference: contrast fell from 50 to 40 (median)."
    text = visible(page(ranked, summary_of(ranked, HEAD, alerts=[words])))
    assert text.index("unlike what is usual") < text.index(words) < text.index("1. p 0.900")
    assert "unlike what is usual" not in visible(page(ranked, summary_of(ranked, HEAD)))


def test_every_picture_is_that_of_its_own_crop(ranked):
    import cv2

    text = page(ranked, summary_of(ranked, HEAD))
    stored = {
        row["crop_id"]: row["pixels"]
        for number in range(2)
        for row in parts.read_part(
            ranked, tables.crops(RECIPE, SIDE).part("b", number), schemas.crops(SIDE)
        ).to_pylist()
    }
    shown = re.findall(r'base64,([^"]*)" alt="box crop ([^"]*)"', text)
    assert len(shown) == 4
    for picture, name in shown:
        data = np.frombuffer(base64.b64decode(picture), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_UNCHANGED).tobytes() == stored[name]


def test_scores_stand_with_interval_guess_and_support_for_each_method(ranked):
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    found = evaluation()
    auroc = found["estimates"]["auroc"]
    assert f"{auroc['value']:.2f} {auroc['low']:.2f} to {auroc['high']:.2f} guess 0.50" in text
    assert f"{found['rows']} crops ({found['abnormal_rows']} abnormal)" in text
    assert "Measured on the test side only" in text
    assert text.count("guess 0.50") >= 2
    assert "logistic regression on embeddings" in text


def test_a_head_that_learned_from_another_kind_of_region_is_warned_about(ranked):
    write_head(ranked, region_kinds={"tooth": 900})
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    assert "learned from tooth crops; 4 box crops of this batch are of a kind it did not" in text


def test_found_teeth_are_ranked_better_by_a_head_that_learned_what_is_no_finding():
    evaluations = {"head": evaluation()}
    kinds = {"tooth": 120}
    said = card_tables.warnings(
        {"region_kinds": {"box": 9}, "background_rows": 50}, evaluations, kinds
    )
    assert "120 tooth crops of this batch lie where a tooth was found" in said[0]
    said = card_tables.warnings({"region_kinds": {"box": 9}}, evaluations, kinds)
    assert "their order mean little" in said[0]


def test_a_head_that_learned_from_this_kind_of_region_is_not_warned_about(ranked):
    assert "did not learn from. Their" not in page(ranked, summary_of(ranked, HEAD))


def test_a_head_that_knows_nothing_is_called_so():
    scores = {"head": evaluation(skill=0), "probe": evaluation(skill=1)}
    said = " ".join(card_tables.warnings(head_card(), scores, {"box": 4}))
    assert "was not shown to know anything" in said
    assert "The probe reaches an AUROC" in said
    assert card_tables.warnings(head_card(), {"head": evaluation()}, {"box": 4}) == []


def test_a_measure_without_interval_or_value_says_why():
    few = evaluation(rows=2)
    rows = card_tables.score_rows({"head": few})
    assert all(cell.beside for cell in rows[0].cells)
    assert "–" in {cell.value for cell in rows[0].cells}


def test_a_hostile_label_is_only_text(ranked):
    write_labels(ranked, {3: HOSTILE})
    write_scans(ranked, [*(scan(row) for row in range(4)), rejected(4, HOSTILE)])
    text = page(ranked, summary_of(ranked, HEAD, notes=[HOSTILE]))
    assert "<script" not in text
    assert visible(text).count(HOSTILE) == 4  # gallery, class balance, rejection and note


def test_without_a_head_examples_are_shown_and_what_is_missing_is_said(unranked):
    text = page(unranked, summary_of(unranked, notes=["No head yet: too few labels."]))
    assert sorted(shown_ids(text)) == [crop_id(number) for number in range(4)]
    assert text.count("<img") == 4
    said = visible(text)
    assert "No head predicts on this batch's embeddings yet, so nothing is ranked." in said
    assert "No head yet: too few labels." in said
    assert "p(abnormal)" not in said


def test_a_head_without_predictions_is_not_shown_as_an_order(unranked):
    write_head(unranked)
    text = visible(page(unranked, summary_of(unranked, HEAD, failures=["stage predict failed"])))
    assert "The head made no predictions for this batch." in text
    assert "Something went wrong" in text
    assert "Failed: stage predict failed" in text


def test_deleted_crops_leave_the_list_and_a_sentence(ranked):
    for name in ranked.names("crops"):
        ranked.remove(name)
    text = page(ranked, summary_of(ranked, HEAD))
    assert "<img" not in text
    assert "The crops were deleted from the store, so there are no pictures." in visible(text)
    assert shown_ids(text) == [crop_id(number) for number in IN_ORDER]


def test_a_batch_of_rejected_scans_alone_has_a_page(store):
    write_scans(store, [rejected(0), rejected(1)])
    text = visible(page(store, summary_of(store)))
    assert "2 delivered = 0 accepted + 0 duplicate + 2 rejected" in text
    assert "undecodable 2 too short" in text
    assert "No scan of this batch was accepted, so there is nothing to look at." in text
    assert "No crop of this batch has a label." in text


def test_what_was_delivered_is_counted_by_kind(ranked):
    planned = PlannedBatch("b", problems={"outside": 3, "class": 1})
    text = visible(page(ranked, summary_of(ranked, HEAD, planned=planned)))
    assert "jpeg 8 (file) grey – panoramic 300 × 150 4 0" in text
    assert "2 label lines of received scans could not be used." in text
    assert "1 class, 3 outside" in text
    assert "box caries 1 1 box healthy 1 1" in text


def test_the_page_tells_of_this_batch_alone(ranked):
    other = {"batch": "other", "scan_id": "f" * 32, "file_key": "x", "format": "bmp"}
    write_rows(ranked, tables.SCANS.part("other", 0), [scan(0, **other)], schemas.SCANS)
    summary = summary_of(ranked, HEAD)
    assert "bmp" not in page(ranked, summary)


def test_the_page_shows_where_teeth_were_looked_for(ranked):
    around = {"scan_id": "a" * 32, "region_kind": "tooth", "box_w": 84, "box_h": 84}
    places = {"a" * 32 + f":tooth-{x}-10-84-84": (x, p) for x, p in ((10, 0.2), (150, 0.9))}
    rows = [{**facts(9), **around, "crop_id": n, "box_x": x} for n, (x, _) in places.items()]
    rows[1] |= {"tooth_guess": 27, "tooth_confidence": 0.625}
    write_crops(ranked, rows, number=2)
    said = [{**prediction(9, p, False), "crop_id": n} for n, (_, p) in places.items()]
    write_rows(ranked, tables.predictions(HEAD).part("b", 2), said, schemas.PREDICTIONS)
    text = page(ranked, summary_of(ranked, HEAD))
    figure = re.search('<figure class="searched">.*?</figure>', text, re.DOTALL).group()
    circles = re.findall('<circle cx="([^"]*)" cy="([^"]*)"', figure)
    assert circles == [("192", "52"), ("52", "52")]  # the likeliest abnormal first
    assert "a" * 32 in figure
    assert "perhaps tooth 27 (62 %)" in visible(text)
    assert re.findall('text-anchor="middle"[^>]*>([^<]*)<', figure) == ["27"]


def test_quality_flags_and_near_duplicates_are_counted(ranked):
    alike = [{"likeness": "00ff00ff00ff00ff"}, {"likeness": "00ff00ff00ff00fe"}]
    flagged = [{"quality_flags": ["blurred", "odd_shape"]}, {"quality_flags": ["blurred"]}]
    pairs = zip(alike, flagged, strict=True)
    write_scans(ranked, [scan(row, **one | other) for row, (one, other) in enumerate(pairs)])
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    assert "blurred 2 0 odd_shape 1 0" in text
    assert "1 pairs of accepted scans look alike" in text


def test_broken_checks_and_stage_times_are_told(ranked):
    text = visible(
        page(ranked, summary_of(ranked, HEAD, broken_checks=["parts_reconcile: 2 rows"]))
    )
    assert "Broken check: parts_reconcile: 2 rows" in text
    assert "receive 2.5 1 embed 4.0 – check 0.0 – all 6.5" in text
