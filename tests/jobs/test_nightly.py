"""Nights over an inbox: whatever disturbs them, the store ends as an undisturbed run leaves it."""

import datetime
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import config
from pipeline.errors import NightBusy
from pipeline.ingest import delivery_lists
from pipeline.jobs import part_work, process_batch, resources
from pipeline.jobs.nightly import nightly
from pipeline.learn import feedback, training_rows
from pipeline.report import model_page, night_record
from pipeline.stages.plan import deliver
from pipeline.store import catalog
from pipeline.store.locks import batch_lock, night_lock
from tests.builders.fakes import FakeTrunk, freeze_delivery_times, use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store, stored_bytes, unfinished_files

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TABLES = ("scans", "crops", "features", "labels")
KILLED = """
import sys
from pathlib import Path

from tests.jobs.test_nightly import die_in_the_night

if __name__ == "__main__":
    die_in_the_night(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def at_night(root, inbox, **changes):
    few = config.Novelty(min_patients=1000)  # learns nothing, so that nights are quick
    return small_store(root, inbox=inbox, novelty=few, **changes)


def die_in_the_night(root, inbox):
    """The program of the killed night: everything received, one of two parts embedded."""
    patch = pytest.MonkeyPatch()
    use_fakes(patch)
    freeze_delivery_times(patch)
    embed_part = part_work.embed_part

    def embed_no_second(store, batch, number, *others):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return embed_part(store, batch, number, *others)

    patch.setattr(part_work, "embed_part", embed_no_second)
    nightly(at_night(root, inbox))


@pytest.fixture
def night(tmp_path, monkeypatch):
    """One night over an inbox."""
    use_fakes(monkeypatch)
    freeze_delivery_times(monkeypatch)
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    def one(root="store-of", **changes):
        return nightly(at_night(tmp_path / root, inbox, **changes))

    one.inbox, one.root = inbox, tmp_path / "store-of"
    return one


def contents(root):
    return stored_bytes(at_night(root, None).store, *TABLES)


def outcomes(found):
    return {name: batch.outcome for name, batch in found.batches.items()}


def test_ten_disturbed_nights_leave_the_store_of_undisturbed_ones(night, tmp_path):
    heard = tmp_path / "heard"
    alarm = {"on_failure": f"cat >> {heard}"}

    def as_calm():
        night("calm")
        found, expected = contents(night.root), contents(tmp_path / "calm")
        assert found.keys() == expected.keys()
        assert not [name for name in expected if found[name] != expected[name]]
        assert not unfinished_files(night.root)
        return len(expected)

    def arrives(name, *files):
        write_files(night.inbox / name, **{f"{file}_png": scan() for file in files})

    # 1: a new batch.
    arrives("2026-11-01", *"abcd")
    assert outcomes(night(**alarm)) == {"2026-11-01": "new"}
    assert as_calm() == 6
    # 2: an empty folder, and nothing new.
    (night.inbox / "2026-11-02").mkdir()
    assert list(outcomes(night(**alarm)).values()) == ["unchanged", "empty"]
    as_calm()
    # 3: a batch has grown.
    arrives("2026-11-01", "e", "f")
    assert night(**alarm).worked_on() == ["2026-11-01"]
    assert as_calm() == 9
    # 4: missed; caught up by 5.
    arrives("2026-11-02", *"ghij")
    arrives("2026-11-03", "k")
    assert night(**alarm).worked_on() == ["2026-11-02", "2026-11-03"]
    as_calm()
    # 6: killed; 7 takes over, and takes what came since.
    arrives("2026-11-04", *"lmno")
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    died = subprocess.run(
        [sys.executable, program, night.root, night.inbox],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert sum("2026-11-04" in name for name in contents(night.root)) == 5  # of 6
    arrives("2026-11-05", "p")
    assert night(**alarm).worked_on() == ["2026-11-04", "2026-11-05"]
    as_calm()
    assert not heard.exists()
    # 8: one batch fails, for its lists are lost; the other is done all the same. 9 makes it good.
    lists = night.root / "store.private" / "deliveries" / "2026-11-02" / "00000.parquet"
    lost = lists.read_bytes()
    lists.unlink()
    arrives("2026-11-02", "q")
    arrives("2026-11-06", "r")
    failed = night(**alarm)
    assert failed.exit_status == 1
    assert outcomes(failed)["2026-11-02"] == "failed"
    assert failed.worked_on() == ["2026-11-06"]
    assert failed.failures == [
        "batch 2026-11-02: StoreError: its delivery lists are missing in the private folder; "
        "restore them"
    ]
    assert "FAILED  batch 2026-11-02" in heard.read_text()
    lists.write_bytes(lost)
    assert night(**alarm).worked_on() == ["2026-11-02"]
    as_calm()
    # 10: twice, and while another is going on.
    after = contents(night.root)
    assert night(**alarm).worked_on() == []
    store = at_night(night.root, night.inbox)
    with night_lock(store.store), pytest.raises(NightBusy, match=f"process {os.getpid()} since"):
        nightly(store)
    assert contents(night.root) == after
    with catalog.open_store(store.store) as con:
        assert catalog.check(con) == []
    assert heard.read_text().count("Night of") == 1


def test_a_failing_disk_costs_one_night_of_one_part(night, monkeypatch):
    def flaky(store, chosen):
        raise OSError(5, "Input/output error")

    write_files(night.inbox / "2026-11-01", a_png=scan())
    monkeypatch.setattr(resources, "embedder", flaky)
    found = night()
    assert outcomes(found) == {"2026-11-01": "failed"}
    assert "FAILED  stage embed could not finish part 0" in found.batches["2026-11-01"].lines[-1]
    monkeypatch.setattr(resources, "embedder", lambda store, chosen: FakeTrunk)
    assert night().worked_on() == ["2026-11-01"]


def test_a_batch_that_another_run_works_on_is_left_to_it(night):
    write_files(night.inbox / "2026-11-01", a_png=scan())
    with batch_lock(at_night(night.root, night.inbox).store, "2026-11-01"):
        found = night()
    assert outcomes(found) == {"2026-11-01": "busy"}
    assert found.exit_status == 0


def test_a_batch_delivered_by_hand_keeps_its_name_and_records_name_no_folder(night):
    folder = write_files(night.inbox / "Ann Smith", a_png=scan())
    store = at_night(night.root, night.inbox)
    process_batch.run_batch(store, deliver(folder, "spring", store))
    write_files(night.inbox / "Bob Jones", b_png=b"broken")
    (night.inbox / "Carl Miller").mkdir()
    found = night()
    first, second, _ = found.batches
    assert (first, found.batches[first].outcome) == ("spring", "unchanged")
    assert second.startswith("batch-")
    assert found.exit_status == 2  # everything of that batch was rejected
    [record] = Path(store.store.root, "runs").glob("night-*.json")
    page = Path(store.store.root, night_record.PAGE)
    assert page.stat().st_mode & 0o077 == 0
    for text in (page.read_text(), record.read_text()):
        assert not any(name in text for name in ("Ann", "Bob", "Carl", "Smith"))


def test_folders_of_systems_are_no_batches_and_loose_files_are_reported(night):
    write_files(night.inbox / "2026-11-01", a_png=scan())
    for folder in ("@eaDir", "#recycle", "$RECYCLE.BIN", ".Trash-1000", "__MACOSX"):
        write_files(night.inbox / folder, a_png=scan())
    write_files(night.inbox, loose_png=scan(), labels_csv="file,label\n", Thumbs_db="x")
    found = night()
    assert outcomes(found) == {"2026-11-01": "new"}
    assert (found.loose_files, found.exit_status) == (2, 0)
    text = "\n".join(night_record.format_night(found, at_night(night.root, night.inbox).settings))
    assert "2 files lie in the inbox itself and belong to no batch" in text


def test_a_store_in_the_inbox_is_a_failure_and_stops_no_batch(night):
    write_files(night.inbox / "2026-11-01", a_png=scan())
    found = nightly(at_night(night.inbox, night.inbox))
    assert outcomes(found)["2026-11-01"] == "new"
    assert sorted(outcomes(found).values()) == ["failed", "failed", "new"]
    assert {each.split(": ")[1] for each in found.failures} == {"ConfigError"}


def test_a_missing_inbox_is_a_failure_and_runs_the_failure_command(night, tmp_path):
    night.inbox.rmdir()
    assert night(on_failure=f"cat > {tmp_path}/heard").failures == [
        "inbox: ConfigError: the setting `inbox` names no folder; set it in dental.toml or in "
        "DENTAL_INBOX"
    ]
    assert "FAILED  inbox" in (tmp_path / "heard").read_text()
    messages = (night.root / "store.private" / "messages.log").read_text()
    assert f"The setting `inbox` is {night.inbox}, expected a folder" in messages


@pytest.fixture
def reviewed(night, tmp_path, monkeypatch):
    """A night over one labelled batch, and tables of reviewers' labels for its two crops."""
    monkeypatch.setattr(feedback, "MOST_CHANGED", 1.0)  # since one of two is more than a tenth
    labels = "file,label\na.png,healthy\nb.png,caries\n"
    write_files(night.inbox / "2026-11-01", a_png=scan(), b_png=scan(), labels_csv=labels)
    tables = tmp_path / "tables"
    tables.mkdir()
    night()
    store = at_night(night.root, night.inbox).store

    def now():
        with catalog.open_store(store) as con:
            return con.table("labels_now").to_arrow_table().to_pylist()

    crops = sorted(row["crop_id"] for row in now())

    def table(name, *lines, age=0):
        path = tables / f"{name}.csv"
        path.write_text("\n".join(["crop_id,label,reviewer", *lines]) + "\n")
        os.utime(path, (1_000_000_000 - age,) * 2)

    table.labels = lambda: {row["crop_id"]: row["label"] for row in now()}
    table.crops, table.folder, table.store = crops, tables, store
    return table


def test_every_table_of_labels_is_applied_once_the_oldest_first(night, reviewed):
    one, _ = reviewed.crops
    reviewed("b", f"{one},caries,kl", age=20)
    reviewed("a", f"{one},healthy,kl", "nobody:whole,caries,kl", age=10)
    assert night(feedback=reviewed.folder).labels == {
        "files": 2,
        "appended": 2,
        "withdrawn": 0,
        "unused": 1,
    }
    assert reviewed.labels()[one] == "healthy"
    # The older table is no news on the next night, and touching it or naming it anew changes that
    # no more than a second table of the same content.
    reviewed("c", f"{one},caries,kl")
    assert set(night(feedback=reviewed.folder).labels.values()) == {0}
    assert reviewed.labels()[one] == "healthy"
    messages = (night.root / "store.private" / "messages.log").read_text()
    assert "a.csv: line 3: there is no crop `nobody:whole`" in messages


def test_a_table_that_changes_many_labels_waits_until_a_person_gives_it(
    night, reviewed, monkeypatch
):
    monkeypatch.setattr(feedback, "MOST_CHANGED", 0.1)
    one, other = reviewed.crops
    before = reviewed.labels()
    reviewed("many", f"{one},abscess,kl", age=20)
    reviewed("few", f"{other},{before[other]},kl", age=10)
    for _ in range(2):
        found = night(feedback=reviewed.folder, classes=("abscess",))
        assert reviewed.labels() == before
        assert found.held_tables == [
            "table 1: it changes 1 of the 2 labels in force, which is more than a tenth"
        ]
        assert (found.exit_status, found.failures) == (2, [])
        assert (
            "HELD    table 1: it changes 1"
            in (night.root / "store/reports/nightly.txt").read_text()
        )
    messages = (night.root / "store.private" / "messages.log").read_text()
    assert "many.csv: held back, since it changes 1" in messages
    settings = at_night(night.root, night.inbox, classes=("abscess",)).settings
    feedback.take_feedback(settings, reviewed.folder / "many.csv", agreed=True)
    found = night(feedback=reviewed.folder, classes=("abscess",))
    assert (found.held_tables, found.exit_status) == ([], 0)
    assert reviewed.labels()[one] == "abscess"


def test_an_unreadable_table_fails_every_night_and_stops_no_other(night, reviewed):
    one, _ = reviewed.crops
    (reviewed.folder / "wrong.csv").write_text("crop,says\n")
    reviewed("right", f"{one},caries,kl")
    for appended in (1, 0):
        found = night(feedback=reviewed.folder)
        assert found.labels["appended"] == appended
        assert [each.split(": ")[1] for each in found.failures] == ["ConfigError"]


@pytest.fixture
def learned(night, reviewed, monkeypatch):
    """Nights after a head was trained, with a stand-in for training, which imports Keras."""

    def learn_and_predict(store, map):
        learned_again.times += 1
        auroc = {"value": 0.7, "low": 0.6, "high": 0.8}
        card = {"scores": {"head": {"estimates": {"auroc": auroc}}}}
        return SimpleNamespace(head_id="h2", promoted=False, words="worse", card=card), []

    def learned_again():
        return night(feedback=reviewed.folder, min_new_labels=2).head

    def write_head_page(store, head, settings):
        learned_again.pages.append(head)

    learned_again.times, learned_again.pages = 0, []
    monkeypatch.setattr(model_page, "write_head_page", write_head_page)
    training = SimpleNamespace(learn_and_predict=learn_and_predict)
    monkeypatch.setitem(sys.modules, "pipeline.learn.train", training)
    monkeypatch.setattr(training_rows, "require_enough", lambda *_: None)
    monkeypatch.setattr(process_batch.BatchRun, "_predict", lambda *_: None)
    trunk = Path(next(iter(reviewed.store.names("features")))).parts[1]
    now = datetime.datetime.now(datetime.UTC).isoformat()
    card = {"trunk": trunk, "made_at": now, "normal_class": "healthy"}
    reviewed.store.write_bytes("models/heads/h1/card.json", json.dumps(card).encode())
    champion = {"recipe": "r", "trunk": trunk, "head": "h1"}
    reviewed.store.write_bytes("models/promotions/00001.json", json.dumps(champion).encode())
    return learned_again


def test_a_head_is_trained_when_enough_labels_are_new(learned, reviewed):
    for number, (crop, label) in enumerate(reviewed.labels().items()):
        assert learned() == f"{number} new labels since the last training, 2 are needed"
        other = "caries" if label == "healthy" else "healthy"
        reviewed(f"{number}", f"{crop},{other},kl")
    score = "Head: AUROC 0.70 (0.60–0.80) on the test side."
    assert learned() == f"h2 was trained and not promoted: worse. {score}"
    # The stand-in writes no card, as when labels return to what they were and the head exists.
    assert learned() == "0 new labels since the last training, 2 are needed"
    assert (learned.times, learned.pages) == (1, ["h2"])


def test_labels_delivered_again_unchanged_train_no_head(learned, night, reviewed, monkeypatch):
    # As on every other day: a list, and with it a delivered label, is younger than what was before.
    monkeypatch.setattr(delivery_lists, "datetime", datetime)
    for scan_file in (night.inbox / "2026-11-01").glob("*.png"):
        os.utime(scan_file, (1_000_000_000,) * 2)
    reviewed("confirmed", *(f"{crop},{label},kl" for crop, label in reviewed.labels().items()))

    assert learned() == "0 new labels since the last training, 2 are needed"
    with catalog.open_store(reviewed.store) as con:
        assert len(con.table("labels").fetchall()) == 6  # delivered, delivered again, confirmed


def test_a_night_with_nothing_to_do_imports_nothing_slow(night):
    write_files(night.inbox / "2026-11-01", a_png=scan())
    night()
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from tests.jobs.test_nightly import at_night, nightly\n"
        f"found = nightly(at_night(Path({str(night.root)!r}), Path({str(night.inbox)!r})))\n"
        "assert found.worked_on() == [] and not found.failures, found\n"
        "print(sum(found.seconds.values()))\n"
        "print({'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules))\n"
    )
    lines = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert float(lines[0]) < 3 + 1.5  # a second look at the fresh file is a part of it
    assert lines[1] == "set()"
