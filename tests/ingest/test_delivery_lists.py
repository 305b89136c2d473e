"""Which files count as scans, and delivery lists of growing batches."""

import os

import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.ingest import list_files
from pipeline.ingest.delivery_lists import DeliveryLists, batch_name
from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.patients import Patients
from pipeline.ingest.private_folder import open_private_folder


@pytest.fixture
def private(tmp_path):
    return open_private_folder(tmp_path / "private", may_create=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
    (tmp_path / "batch").mkdir()
    return tmp_path / "batch"


def put(folder, *names, text="x"):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def delivered(folder, private, part_size=2):
    found = list_batch(folder)
    return listed(folder, private, found, Annotations(found), part_size)


def listed(folder, private, found, annotations, part_size):
    deliveries = DeliveryLists(private, "b")
    patients = Patients(folder, found, annotations, private, config.load(), "b")
    new = deliveries.unlisted(found, annotations, patients.digest)
    deliveries.add(new, patients.of, lambda _: None, part_size)
    return deliveries, len(new)


def test_everything_but_hidden_label_and_other_files_counts_as_a_scan(folder):
    put(folder, "a.png", "sub/b.jpg", "notes.pdf", "no_suffix", "strange.txt")
    put(folder, ".hidden", "Thumbs.db", "sub/desktop.ini", "a.txt", "table.csv")
    found = list_batch(folder)
    assert [entry.path for entry in found.scans] == [
        b"a.png",
        b"no_suffix",
        b"notes.pdf",
        b"sub/b.jpg",
    ]
    assert [entry.path for entry in found.labels] == [b"a.txt", b"table.csv"]
    assert found.other_counts == {"document": 1}
    assert found.ignored == 3


def test_links_and_pipes_are_listed_but_never_opened(folder):
    (folder / "link.png").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe.png")
    assert [(e.path, e.kind) for e in list_batch(folder).scans] == [
        (b"link.png", "link"),
        (b"pipe.png", "other"),
    ]


def test_a_file_name_that_is_not_valid_utf8_is_listed(folder):
    with open(os.fsencode(folder) + b"/\xff\xfe.png", "wb"):
        pass
    assert [entry.path for entry in list_batch(folder).scans] == [b"\xff\xfe.png"]


def test_a_file_that_is_still_growing_waits_for_the_next_run(folder, monkeypatch):
    put(folder, "done.png", "growing.png")

    def meanwhile(seconds):
        put(folder, "growing.png", text="xx")

    monkeypatch.setattr(list_files.time, "sleep", meanwhile)
    found = list_batch(folder)
    assert [entry.path for entry in found.scans] == [b"done.png"]
    assert found.growing == 1


def test_scans_wait_for_a_growing_table_that_may_assign_them_to_patients(folder, monkeypatch):
    put(folder, "a.png", "b.png", "who.csv")
    monkeypatch.setattr(list_files.time, "sleep", lambda _: put(folder, "who.csv", text="xx"))
    found = list_batch(folder)
    assert (found.scans, found.labels, found.growing) == ([], [], 3)


@pytest.mark.parametrize(
    ("name", "message"), [("gone", "does not exist"), ("file", "not a folder")]
)
def test_a_batch_path_that_is_not_a_folder_is_refused(folder, name, message):
    put(folder, "file")
    with pytest.raises(ConfigError, match=message):
        list_batch(folder / name)


def test_a_list_divides_files_into_parts_in_path_order(folder, private):
    put(folder, "c.png", "a.png", "b.png")
    deliveries, new = delivered(folder, private)
    assert (new, deliveries.sizes()) == (3, {0: 2, 1: 1})
    files, _ = deliveries.part(0)
    assert [(file.entry.path, file.row) for file in files] == [(b"a.png", 0), (b"b.png", 1)]


def test_a_grown_batch_gets_a_second_list_whose_parts_continue(folder, private):
    put(folder, "a.png", "b.png", "c.png")
    delivered(folder, private)
    before = DeliveryLists(private, "b").lists()[0].read_bytes()
    put(folder, "d.png")
    deliveries, new = delivered(folder, private)
    assert (new, deliveries.parts()) == (1, [0, 1, 2])
    assert [file.entry.path for file in deliveries.part(2)[0]] == [b"d.png"]
    assert deliveries.lists()[0].read_bytes() == before


def test_an_unchanged_batch_gets_no_new_list(folder, private):
    put(folder, "a.png")
    delivered(folder, private)
    deliveries, new = delivered(folder, private)
    assert (new, len(deliveries.lists())) == (0, 1)


def test_a_changed_file_is_listed_again_as_the_next_attempt(folder, private):
    put(folder, "a.png")
    delivered(folder, private)
    put(folder, "a.png", text="changed")
    deliveries, new = delivered(folder, private)
    assert new == 1
    assert [file.attempt for file in deliveries.part(1)[0]] == [2]


def test_a_list_stores_keyed_hashes_instead_of_patient_ids(folder, private):
    put(folder, "a.png")
    found = list_batch(folder)
    annotations = Annotations(found)
    annotations.of(b"a.png").patient = " Ann Smith "
    deliveries, _ = listed(folder, private, found, annotations, 2)
    [file] = deliveries.part(0)[0]
    assert file.patient_key == private.patient_key("Ann Smith")
    assert b"Ann" not in deliveries.lists()[0].read_bytes()


def test_a_batch_is_named_by_the_user_by_its_date_or_by_a_keyed_hash(tmp_path, private):
    assert batch_name(tmp_path / "x", "spring.1", private) == "spring.1"
    assert batch_name(tmp_path / "20261123", None, private) == "20261123"
    assert batch_name(tmp_path / "2026-11-23", None, private) == "2026-11-23"
    hashed = batch_name(tmp_path / "Ann Smith", None, private)
    assert hashed.startswith("batch-")
    assert "Ann" not in hashed
    assert hashed != batch_name(tmp_path / "Bob", None, private)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 65, "..", "Ünit"])
def test_an_invalid_batch_name_is_refused(tmp_path, private, name):
    with pytest.raises(ConfigError, match="not a valid batch name"):
        batch_name(tmp_path, name, private)


def test_only_earlier_parts_with_a_file_of_the_same_size_can_hold_the_same_scan(folder, private):
    for name, length in zip("abcdefgh", (1, 2, 3, 4, 2, 5, 4, 1), strict=True):
        put(folder, f"{name}.png", text="x" * length)
    deliveries, _ = delivered(folder, private)
    assert [deliveries.parts_with_same_sizes(number) for number in range(4)] == [
        [],
        [],
        [0],
        [0, 1],
    ]
