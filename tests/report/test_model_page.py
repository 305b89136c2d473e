"""The page of a head: its pictures, curves and maps, and who may read it."""

import datetime
import json
import re
import stat

import numpy as np
import pytest

from pipeline import config, schemas
from pipeline.learn.evaluate import evaluate_head
from pipeline.report.model_page import write_page, write_pages_of_new_head
from pipeline.store import tables
from pipeline.store.store import Store
from tests.builders.synthetic_store import CLASSES, SIDE, SyntheticStore
from tests.builders.tables import write_rows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with predictions, crops of one batch, and one doubtful label."""
    root = tmp_path_factory.mktemp("store")
    made = SyntheticStore(Store(str(root))).add_trunk().add_head("h0", 0.3).promote("h0")
    pixels = np.random.default_rng(0)
    rows = [made.crop_facts(n) | {"pixels": pixels.bytes(SIDE**2)} for n in made.crop_numbers(0)]
    write_rows(made.store, tables.crops("r0", SIDE).part("b0", 0), rows, schemas.crops(SIDE))
    label = made.labels[0]
    doubt = {
        "head": "h0",
        "trunk": "t0",
        "crop_id": made.crop_id(0),
        "patient_key": made.patient(0),
        "fold": 0,
        "label": label,
        "self_confidence": 0.03,
        "suggested": next(name for name in CLASSES if name != label),
        "confidence": 0.9,
    }
    write_rows(made.store, tables.out_of_fold("h0").part(), [doubt], schemas.OUT_OF_FOLD)
    return made


@pytest.fixture(scope="module")
def page(made):
    name = write_page(made.store, evaluate_head(made.store, "h0", 4))
    assert name == "reports/evaluation-h0.html"
    assert stat.S_IMODE(made.store.local_path(name).stat().st_mode) == 0o600
    return made.store.read_bytes(name).decode()


def test_a_new_head_gets_its_page_and_a_link_of_the_overview(tmp_path):
    made = SyntheticStore(Store(str(tmp_path / "store")), patients=40)
    made.add_trunk().add_head("h0", 0.3).promote("h0")
    settings = config.load(store=str(tmp_path / "store"))
    assert write_pages_of_new_head(made.store, "h0", settings) == "reports/evaluation-h0.html"
    assert 'href="evaluation-h0.html"' in made.store.read_bytes("reports/index.html").decode()
    for name in made.store.names("labels"):
        made.store.remove(name)
    assert write_pages_of_new_head(made.store, "h0", settings) is None


def test_page_loads_nothing_and_identifies_no_patient(made, page):
    assert "://" not in page
    assert "For research, not for diagnosis" in page
    assert "share 0 patients" in page
    assert not any(f">{made.patient(n)}<" in page for n in range(2 * made.patients))


def test_equal_evaluations_give_equal_pages(made, page):
    name = write_page(made.store, evaluate_head(made.store, "h0", 4))
    assert made.store.read_bytes(name).decode() == page


def test_page_draws_both_curves_calibration_and_three_maps(page):
    drawn = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert drawn == [
        "Receiver operating characteristic on the test side",
        "Precision and recall on the test side",
        "Reliability on the test side, ten bins",
        "Embeddings by class",
        "Embeddings by batch",
        "Embeddings by modality",
    ]


def test_each_cell_of_the_confusion_matrix_has_examples_with_pictures(page):
    wrong = re.findall(r"<summary>(\w+) predicted as (\w+): (\d+)</summary>", page)
    assert wrong
    assert all(truth != predicted and int(count) for truth, predicted, count in wrong)
    assert 'alt="crop 000' in page


def test_doubtful_labels_are_shown_as_pictures(made, page):
    shown = page[page.index("Doubtful labels</h2>") :]
    assert f'alt="crop {made.crop_id(0)}"' in shown
    assert "p of the label 0.03" in shown


def test_crops_of_the_audit_are_shown_with_no_score_until_they_are_read(made, page):
    found = evaluate_head(made.store, "h0", 4)
    shown = set(re.findall(r'alt="crop (\w+:whole)"', page))
    tested = sorted(shown & set(found.rows.facts["crop_id"]))
    hidden = [*tested[:2], made.crop_id(0)]
    names = ("batch", "crop_id", "scan_id", "patient_key")
    numbers = [int(each.split(":")[0], 16) for each in hidden]
    rows = [{name: made.crop_facts(n)[name] for name in names} | {"night": 0} for n in numbers]
    write_rows(made.store, tables.AUDITS.part("b0", 0), rows, schemas.AUDITS)
    drawn = made.store.read_bytes(write_page(made.store, found)).decode()
    assert not [each for each in hidden if each in drawn]
    assert "Doubtful labels" not in drawn
    counted = re.compile(r"<summary>.*</summary>")
    assert counted.findall(drawn) == counted.findall(page)

    day = datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)
    read = {"crop_id": hidden[0], "scan_id": hidden[0].split(":")[0], "batch": "ab"}
    read |= {
        "label": made.labels[numbers[0]],
        "source": "ab",
        "labelled_at": day,
        "decision": "label",
    }
    write_rows(made.store, "labels/part-ab-00000.parquet", [read], schemas.LABELS)
    found = evaluate_head(made.store, "h0", 4)
    drawn = made.store.read_bytes(write_page(made.store, found)).decode()
    assert [each in drawn for each in hidden] == [True, False, False]
    made.store.remove("labels/part-ab-00000.parquet")
    made.store.remove(tables.AUDITS.part("b0", 0))


def test_a_learning_curve_is_drawn_from_the_largest_cross_validation_of_its_trunk(made, page):
    assert "Is it worth labelling more?" not in page
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9, "reason": None}
    gain = {"value": 0.05, "low": 0.01, "high": 0.09, "reason": None}
    for number, (trunk, rows) in enumerate([("t0", 50), ("t0", 90), ("t1", 99)]):
        curve = [
            {"share": share, "patients": rows * share, "auroc": estimate, "gain_of_all": gain}
            for share in (0.5, 1.0)
        ]
        record = {"trunk": trunk, "rows": rows, "learning_curve": curve}
        made.store.write_bytes(f"runs/cross-validation-{number}.json", json.dumps(record).encode())
    name = write_page(made.store, evaluate_head(made.store, "h0", 4))
    drawn = made.store.read_bytes(name).decode()
    assert "From 45.0 to 90.0 patients it changed by +0.05" in drawn
    assert "still gains from more labelled patients" in drawn
