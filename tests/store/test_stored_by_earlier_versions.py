"""Stores that earlier versions wrote: read, resumed, queried, forgotten from and promoted in."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline import config
from pipeline.cli.__main__ import commands
from pipeline.imaging import regions
from pipeline.ingest import list_files
from pipeline.jobs import resources
from pipeline.learn.feedback import take_feedback
from pipeline.learn.learn_trunk import learn_trunk
from pipeline.learn.train import learn_and_predict
from pipeline.model.trunk_weights import trunk_fingerprint
from pipeline.store import catalog
from pipeline.store.features import load_features
from pipeline.store.open_store import open_for_writing
from pipeline.store.registry import champion
from tests.builders.fakes import InProcessPool
from tests.builders.scans import scan, write_files
from tests.builders.stores import process_folder, stored_bytes
from tests.fixtures.make_stores import INBOX

# scikit-learn's, of a few dozen labels in folds.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The least populated class"),
]
STORES = Path(__file__).parents[1] / "fixtures" / "stores"
BATCH = "20261123"
PATIENT = "PHANTOM-0008"
TABLES = ("scans", "crops", "features", "predictions", "labels", "audits", "out_of_fold")


@dataclass(frozen=True)
class Copy:
    """A copy of a stored store that may be changed; its address and its inbox."""

    address: str
    inbox: Path

    def opened(self):
        return open_for_writing(config.load())

    def run(self):
        """Process the first batch again; the summary."""
        return process_folder(self.opened(), self.inbox / BATCH, BATCH)

    def contents(self):
        """The bytes of everything that lasts, by name."""
        return stored_bytes(self.opened().store, *TABLES, "models")

    def query(self, name, **parameters):
        with catalog.open_store(self.address) as con:
            return catalog.query(con, name, **parameters)

    def dental(self, *command):
        answer = CliRunner().invoke(commands, list(command))
        assert answer.exception is None or isinstance(answer.exception, SystemExit), answer
        return answer


def unpack(name, home):
    """Unpack a stored store, with its batches where they lie now."""
    with tarfile.open(STORES / f"{name}.tar.xz") as archive:
        archive.extractall(home, filter="tar")  # keeps modes and times
    for path in home.glob("private/deliveries/*/folder"):
        path.write_text(path.read_text().replace(INBOX, str(home / "inbox")))


def settings_without(home, *groups):
    """Take these groups out of the settings file."""
    file = home / "dental.toml"
    tables = file.read_text().split("\n\n")
    kept = [each for each in tables if not each.startswith(tuple(f"[{name}]" for name in groups))]
    file.write_text("\n\n".join(kept))


def upload(folder, store):
    for path in folder.rglob("*"):
        if path.is_file():
            store.write_bytes(path.relative_to(folder).as_posix(), path.read_bytes())


@pytest.fixture(params=sorted(path.name.removesuffix(".tar.xz") for path in STORES.iterdir()))
def copy(request, tmp_path, monkeypatch):
    unpack(request.param, tmp_path)
    address = str(tmp_path / "store")
    if request.param == "s3":
        request.getfixturevalue("s3")
        address = "s3://bucket/store"
        upload(tmp_path / "store", catalog.Store(address))
    monkeypatch.setenv("DENTAL_CONFIG", str(tmp_path / "dental.toml"))
    monkeypatch.setenv("DENTAL_PRIVATE", str(tmp_path / "private"))
    monkeypatch.setenv("DENTAL_STORE", address)
    monkeypatch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
    monkeypatch.setattr(resources, "WorkerPool", InProcessPool)
    monkeypatch.chdir(tmp_path)
    return Copy(address, tmp_path / "inbox")


def test_its_features_load_and_pandas_reads_its_tables(copy):
    facts, embeddings = load_features(copy.address)
    assert len(facts) == len(embeddings) > 0
    assert facts["label"].notna().any()
    folder = copy.inbox.parent / "store"  # for a store on S3, what was uploaded
    for table in TABLES:
        assert len(pd.read_parquet(folder / table)) > 0


def test_every_query_is_answered_and_every_check_passes(copy):
    with catalog.open_store(copy.address) as con:
        crop_id = catalog.query(con, "crop_labels")["crop_id"].iloc[0]
        values = {
            "batch": BATCH,
            "crop_id": crop_id,
            "scan_id": crop_id.split(":")[0],
            "trunk": catalog.query(con, "trunks")["trunk"].iloc[0],
            "since": "2026-11-01",
        }
        for name, query in catalog.queries().items():
            required = [
                each for each, value in query.parameters.items() if value is catalog.REQUIRED
            ]
            catalog.query(con, name, **{each: values[each] for each in required})
        assert len(catalog.query(con, "worklist")) > 0
        assert catalog.check(con) == []


def test_its_batch_is_finished_and_its_recipe_and_trunk_have_the_same_names(copy):
    before = copy.contents()
    summary = copy.run()
    assert summary.nothing_to_do
    assert not summary.broken_checks
    assert copy.contents() == before
    settings = config.load()
    recipe = regions.fingerprint(settings.recipe)
    trunk = trunk_fingerprint(settings.trunk, settings.recipe.side, recipe)
    names = {tuple(name.split("/")[:2]) for name in before}
    assert {("crops", recipe), ("features", trunk)} <= names


def test_a_scan_that_comes_later_gets_a_part_of_the_champions_trunk_and_head(copy):
    settings_without(copy.inbox.parent, "recipe", "trunk")  # which would win over the champion's
    before, promoted = copy.contents(), champion(copy.opened().store)
    write_files(copy.inbox / BATCH, new_png=scan())
    summary = copy.run()
    assert not summary.failures
    assert not summary.broken_checks
    after = copy.contents()
    assert before.items() <= after.items()
    new = {name.rpartition("/")[0] for name in after.keys() - before.keys()}
    assert {
        f"scans/{BATCH}",
        f"crops/{promoted['recipe']}/{BATCH}",
        f"features/{promoted['trunk']}/{BATCH}",
        f"predictions/{promoted['head']}/{BATCH}",
    } <= new
    assert champion(copy.opened().store) == promoted


def test_a_rejected_file_is_tried_again(copy):
    assert "1 rejected files listed again" in copy.dental("retry", BATCH).output
    assert not copy.run().broken_checks
    with catalog.open_store(copy.address) as con:
        scans = con.table("scans").to_arrow_table().to_pandas()
    tried = scans[(scans["batch"] == BATCH) & (scans["reason"] == "not_an_image")]
    assert sorted(tried["attempt"]) == [1, 2]
    found = copy.query("rejections", batch=BATCH).set_index("reason")["scans"]
    assert found["not_an_image"] == 1


def test_a_patient_is_forgotten_and_stays_forgotten(copy):
    scans = len(copy.query("crop_labels"))
    answer = copy.dental("forget", "--patient", PATIENT, "--yes")
    assert "no trace is left" in answer.output
    assert answer.exit_code == 0
    left = len(copy.query("crop_labels"))
    assert left < scans
    assert not copy.run().broken_checks
    assert len(copy.query("crop_labels")) == left


def test_another_head_is_trained_and_judged_against_the_champion(copy, tmp_path):
    before = champion(copy.opened().store)
    crops = copy.query("worklist")["crop_id"].head(3)
    table = tmp_path / "labels.csv"
    table.write_text("crop_id,label,reviewer\n" + "".join(f"{id},caries,dr-b\n" for id in crops))
    assert take_feedback(config.load(), table, agreed=True).problems == []
    trained, failures = learn_and_predict(copy.opened())
    assert not failures
    assert trained.head_id != before["head"]
    now = champion(copy.opened().store)
    assert now["head"] == (trained.head_id if trained.promoted else before["head"])
    other = before["head"] if trained.promoted else trained.head_id
    answer = copy.dental("promote", other)
    assert answer.output.startswith(f"Head {other} was ")
    assert champion(copy.opened().store)["head"] == (now["head"] if answer.exit_code else other)


def test_its_models_are_listed_measured_and_explained(copy, tmp_path):
    promoted = champion(copy.opened().store)
    listed = copy.dental("models").output
    assert promoted["head"] in listed
    assert promoted["trunk"] in listed
    assert f"Head {promoted['head']}" in copy.dental("evaluate").output
    crop_id = copy.query("worklist")["crop_id"].iloc[0]
    answer = copy.dental("explain", crop_id, "--out", str(tmp_path / "why.png"))
    assert "predicted" in answer.output
    assert (tmp_path / "why.png").stat().st_size > 0


@pytest.mark.parametrize("copy", ["learned"], indirect=True)
def test_a_learned_trunk_is_not_learned_again(copy):
    before = copy.contents()
    learned = learn_trunk(copy.opened())
    assert f"models/trunks/{learned.trunk_id}/card.json" in before
    after = copy.contents()
    assert [name for name in after if "/trunks/" in name] == [
        name for name in before if "/trunks/" in name
    ]
