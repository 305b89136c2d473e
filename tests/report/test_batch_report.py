"""The page of a batch: what it shows, in which order, and what it must never contain."""

import base64
import functools
import hashlib
import html
import json
import re

import numpy as np
import pytest

from pipeline import schemas
from pipeline.model.scores import metrics, splits
from pipeline.report import model_facts
from pipeline.report.batch_report import write_report
from pipeline.report.batch_summary import Summary
from pipeline.stages.plan import PlannedBatch
from pipeline.store import catalog, parts, tables
from tests.builders import tables as builders
from tests.builders.tables import write_rows

pytestmark = pytest.mark.slow

SIDE, WIDTH, RECIPE, TRUNK, HEAD = 32, 4, "r0", "t0", "h0"
HOSTILE = '<script>alert("x")</script>'


def crop_id(number):
    return f"{number:032x}:box-{number}-2-30-40"


def facts(number, label=None):
    """Facts of one crop of a panoramic; every crop is of another scan."""
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
    """Write crops of random pixels, and their features."""
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
    """A real evaluation of scores that follow the truth by `skill`: 0 is chance."""
    draw = np.random.default_rng(5)
    truth = draw.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(skill * (truth - 0.5) * 4 + draw.normal(size=rows))))
    patients = [f"p{number // 2}" for number in range(rows)]
    probabilities = np.stack([1 - score, score], axis=1)
    classes = ["healthy", "caries"]
    return metrics.evaluate(
        truth, probabilities, score, patients, splits.sides(patients), classes, "healthy"
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
    """Summary of a run that has just written what is in the store."""
    with catalog.open_store(store) as con:
        counts = catalog.query(con, "batches").drop(columns="batch").iloc[0]
    times = {"receive": 2.5, "embed": 4.0, "check": 0.01}
    made = {"counts": {name: int(value) for name, value in counts.items()}, "seconds": times}
    return Summary("b", RECIPE, TRUNK, head, worked={"receive": 1}, **made | changes)


def page(store, summary):
    with catalog.open_store(store) as con:
        return store.read_bytes(write_report(con, store, summary)).decode()


def visible(text):
    """Return the text of a page without tags, with single spaces."""
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
RANKED = [3, 2, 1, 0]  # unseen first, then by p_abnormal


@pytest.fixture
def ranked(unranked):
    write_head(unranked)
    rows = [prediction(number, *score) for number, score in SCORES.items()]
    write_rows(unranked, tables.predictions(HEAD).part("b", 0), rows, schemas.PREDICTIONS)
    return unranked


def shown_ids(text):
    return re.findall(r'<span class="id">([^<]*)</span>', text.replace("<wbr>", ""))


def test_page_is_readable_by_its_owner_alone(ranked):
    with catalog.open_store(ranked) as con:
        name = write_report(con, ranked, summary_of(ranked, HEAD))
    assert name == "reports/b.html"
    assert ranked.local_path(name).stat().st_mode & 0o777 == 0o600


def test_page_loads_nothing_and_has_no_scripts(ranked):
    text = page(ranked, summary_of(ranked, HEAD))
    assert "://" not in text
    assert "<script" not in text
    addresses = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', text)
    assert addresses
    local = ("data:image/jpeg;base64,", "#", "index.html")
    assert all((one or other).startswith(local) for one, other in addresses)


def test_page_applies_its_own_style_sheet_alone(ranked):
    text = page(ranked, summary_of(ranked, HEAD))
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])
    [style] = re.findall(r"<style>(.+?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in text


def test_page_states_its_purpose_and_that_it_contains_health_data(ranked):
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    assert "For research, not for diagnosis." in text
    assert "pseudonymised health data" in text
    assert "anonymous" not in text


def test_same_store_and_summary_give_the_same_bytes(ranked):
    summary = summary_of(ranked, HEAD)
    assert page(ranked, summary) == page(ranked, summary)


def test_gallery_is_in_work_list_order(ranked):
    text = page(ranked, summary_of(ranked, HEAD))
    assert shown_ids(text) == [crop_id(number) for number in RANKED]
    text = visible(text)
    bars = "predicted caries healthy 0.10 caries 0.90"
    assert f"1. p 0.900 flagged unseen {bars} no label · tooth 36" in text
    bars = "predicted caries healthy 0.30 caries 0.70"
    assert f"2. p 0.700 flagged unseen {bars} label caries box, 3 × 3 px at x 3, y 3" in text
    bars = "predicted caries healthy 0.05 caries 0.95"
    assert f"4. p 0.950 flagged seen {bars} label healthy" in text
    assert "3 of 4 crops are flagged." in text
    assert "patients that the head was not trained on (3) come first" in text


def test_audit_crops_are_marked_and_follow_the_others(ranked):
    drawn = {name: facts(1)[name] for name in ("batch", "crop_id", "scan_id", "patient_key")}
    write_rows(ranked, tables.AUDITS.part("b", 0), [{**drawn, "night": 0}], schemas.AUDITS)
    text = page(ranked, summary_of(ranked, HEAD))
    assert shown_ids(text) == [crop_id(number) for number in (3, 2, 0, 1)]
    assert "4. audit without scores, to be judged by the picture alone" in visible(text)


def test_drift_alert_is_shown_above_the_ranking(ranked):
    alert = "Scans of modality PX differ from the reference: contrast fell from 50 to 40 (median)."
    text = visible(page(ranked, summary_of(ranked, HEAD, alerts=[alert])))
    title = "This batch differs from the reference"
    assert text.index(title) < text.index(alert) < text.index("1. p 0.900")
    assert title not in visible(page(ranked, summary_of(ranked, HEAD)))


def test_every_image_shows_its_own_crop(ranked):
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
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED).ravel()
        # A JPEG of noise: the right crop is much nearer than any other.
        distances = {
            each: np.abs(pixels - np.frombuffer(other, np.uint8).astype(float)).mean()
            for each, other in stored.items()
        }
        assert min(distances, key=distances.get) == name


def test_every_method_has_scores_with_interval_chance_level_and_support(ranked):
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    found = evaluation()
    auroc = found["estimates"]["auroc"]
    assert f"{auroc['value']:.2f} {auroc['low']:.2f}–{auroc['high']:.2f} chance 0.50" in text
    assert f"{found['rows']} crops ({found['abnormal_rows']} abnormal)" in text
    assert "Measured on the test side only" in text
    assert text.count("chance 0.50") >= 2
    assert "logistic regression on embeddings" in text


def test_head_trained_on_another_kind_of_region_gets_a_warning(ranked):
    write_head(ranked, region_kinds={"tooth": 900})
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    assert "trained on tooth crops, but 4 box crops of this batch are of a kind it was" in text


def test_warning_for_found_teeth_is_milder_for_a_head_trained_on_background():
    evaluations = {"head": evaluation()}
    kinds = {"tooth": 120}
    card = {"region_kinds": {"box": 9}, "background_rows": 50}
    [warning] = model_facts.warnings(card, evaluations, kinds)
    assert "120 tooth crops of this batch were placed by the tooth search" in warning
    [warning] = model_facts.warnings({"region_kinds": {"box": 9}}, evaluations, kinds)
    assert "Neither their scores nor their order are reliable" in warning


def test_head_trained_on_this_kind_of_region_gets_no_warning(ranked):
    assert "it was not trained on" not in page(ranked, summary_of(ranked, HEAD))


def test_head_at_chance_level_gets_a_warning():
    scores = {"head": evaluation(skill=0), "probe": evaluation(skill=1)}
    found = " ".join(model_facts.warnings(head_card(), scores, {"box": 4}))
    assert "is not shown to be better than chance" in found
    assert "The probe reaches an AUROC" in found
    assert model_facts.warnings(head_card(), {"head": evaluation()}, {"box": 4}) == []


def test_score_without_interval_or_value_shows_the_reason():
    few = evaluation(rows=2)
    [[_, *cells, _]] = model_facts.score_table({"head": few}).rows
    assert all(len(cell.split("\n")) > 1 for cell in cells)
    assert "–" in {cell.split("\n")[0] for cell in cells}


def test_markup_in_labels_notes_and_details_is_escaped(ranked):
    write_labels(ranked, {3: HOSTILE})
    write_scans(ranked, [*(scan(row) for row in range(4)), rejected(4, HOSTILE)])
    text = page(ranked, summary_of(ranked, HEAD, notes=[HOSTILE]))
    assert "<script" not in text
    assert visible(text).count(HOSTILE) == 4  # gallery, class balance, rejection and note


def test_page_without_a_head_shows_examples_and_what_is_missing(unranked):
    text = page(unranked, summary_of(unranked, notes=["No head yet: too few labels."]))
    assert sorted(shown_ids(text)) == [crop_id(number) for number in range(4)]
    assert text.count("<img") == 4
    text = visible(text)
    assert "There is no head for this batch's embeddings yet, so the crops are not ranked." in text
    assert "No head yet: too few labels." in text
    assert "p(abnormal)" not in text


def test_crops_are_not_ranked_when_the_head_made_no_predictions(unranked):
    write_head(unranked)
    text = visible(page(unranked, summary_of(unranked, HEAD, failures=["stage predict failed"])))
    assert "The head made no predictions for this batch." in text
    assert "Something went wrong" in text
    assert "Failed: stage predict failed" in text


def test_page_without_stored_crops_keeps_the_list_and_mentions_the_deletion(ranked):
    for name in ranked.names("crops"):
        ranked.remove(name)
    text = page(ranked, summary_of(ranked, HEAD))
    assert "<img" not in text
    assert "The crops were deleted from the store, so no images are shown." in visible(text)
    assert shown_ids(text) == [crop_id(number) for number in RANKED]


def test_batch_of_rejected_scans_alone_has_a_page(store):
    write_scans(store, [rejected(0), rejected(1)])
    text = visible(page(store, summary_of(store)))
    assert "2 delivered = 0 accepted + 0 duplicate + 2 rejected" in text
    assert "undecodable 2 copy or export it again; its bytes are incomplete" in text
    assert "0 1 undecodable too short" in text
    assert "No scan of this batch was accepted, so there are no crops to show." in text
    assert "No crop of this batch has a label." in text


def test_delivered_scans_and_labels_are_counted_by_kind(ranked):
    planned = PlannedBatch("b", problems={"outside": 3, "class": 1})
    text = visible(page(ranked, summary_of(ranked, HEAD, planned=planned)))
    assert "jpeg 8 (file) grey – panoramic 300 × 150 4 0" in text
    assert "2 label lines of received scans could not be used." in text
    assert "1 class, 3 outside" in text
    assert "box caries 1 1 box healthy 1 1" in text


def test_page_shows_no_other_batch(ranked):
    other = {"batch": "other", "scan_id": "f" * 32, "file_key": "x", "format": "bmp"}
    write_rows(ranked, tables.SCANS.part("other", 0), [scan(0, **other)], schemas.SCANS)
    summary = summary_of(ranked, HEAD)
    assert "bmp" not in page(ranked, summary)


def test_page_shows_the_tooth_search(ranked):
    around = {"scan_id": "a" * 32, "region_kind": "tooth", "box_w": 84, "box_h": 84}
    places = {"a" * 32 + f":tooth-{x}-10-84-84": (x, p) for x, p in ((10, 0.2), (150, 0.9))}
    rows = [{**facts(9), **around, "crop_id": n, "box_x": x} for n, (x, _) in places.items()]
    rows[1] |= {"tooth_guess": 27, "tooth_confidence": 0.625}
    write_crops(ranked, rows, number=2)
    predicted = [{**prediction(9, p, False), "crop_id": n} for n, (_, p) in places.items()]
    write_rows(ranked, tables.predictions(HEAD).part("b", 2), predicted, schemas.PREDICTIONS)
    text = page(ranked, summary_of(ranked, HEAD))
    figure = re.search('<figure class="searched">.*?</figure>', text, re.DOTALL).group()
    circles = re.findall('<circle cx="([^"]*)" cy="([^"]*)"', figure)
    assert circles == [("192", "52"), ("52", "52")]  # the highest p_abnormal first
    assert "a" * 32 in figure
    assert "probably tooth 27 (62 %)" in visible(text)
    assert re.findall('text-anchor="middle"[^>]*>([^<]*)<', figure) == ["27"]


def test_quality_flags_and_near_duplicates_are_counted(ranked):
    alike = [{"likeness": "00ff00ff00ff00ff"}, {"likeness": "00ff00ff00ff00fe"}]
    flagged = [{"quality_flags": ["blurred", "odd_shape"]}, {"quality_flags": ["blurred"]}]
    pairs = zip(alike, flagged, strict=True)
    write_scans(ranked, [scan(row, **one | other) for row, (one, other) in enumerate(pairs)])
    text = visible(page(ranked, summary_of(ranked, HEAD)))
    assert "blurred 2 0 odd_shape 1 0" in text
    assert "1 pair of accepted scans look alike." in text
    assert "1 of 64 bits differ; different patients" in text


def test_failed_checks_and_stage_times_are_shown(ranked):
    text = visible(
        page(ranked, summary_of(ranked, HEAD, broken_checks=["parts_reconcile: 2 rows"]))
    )
    assert "Failed check: parts_reconcile: 2 rows" in text
    assert "receive 2.5 1 embed 4.0 – check 0.0 – total 6.5" in text
