"""`dental why` on two batches that share a scan."""

import pytest

from pipeline.errors import ConfigError
from pipeline.upkeep.why import explain_file
from tests.builders.scans import scan, write_files

pytestmark = pytest.mark.slow


def test_why_returns_attempts_reasons_crops_messages_and_remedies(two):
    store, root = two
    accepted = explain_file(store, str(root / "one/a.png"))
    assert [(a.batch, a.name, a.status) for a in accepted.attempts] == [
        ("one", "a.png", "accepted"),
        ("two", "other.png", "duplicate"),
    ]
    assert accepted.attempts[1].duplicate_of == "one"
    assert [crop["label"] for crop in accepted.crops] == ["caries", "caries"]
    [broken] = explain_file(store, str(root / "one/c.png")).attempts
    assert (broken.status, broken.reason) == ("rejected", "not_an_image")
    assert "deliver it as JPEG" in broken.remedy
    assert any(
        "nonsense!" in line for line in explain_file(store, str(root / "one/b.png")).messages
    )
    store.private.log_message("bb.png: another file's")
    assert not any(
        "another" in line for line in explain_file(store, str(root / "one/b.png")).messages
    )
    # A copy at another path, and the scan_id.
    write_files(root / "desk", x_png=(root / "one/a.png").read_bytes())
    assert explain_file(store, str(root / "desk/x.png")).attempts[0].batch == "one"
    assert explain_file(store, accepted.scan_id).attempts == [
        *explain_file(store, str(root / "desk/x.png")).attempts
    ]
    # Deleted, a label file, new in the folder, hidden, and unknown.
    (root / "one/b.png").unlink()
    assert explain_file(store, str(root / "one/b.png")).attempts[0].status == "accepted"
    write_files(root / "one", new_png=scan(), **{".hidden_png": scan()})
    write_files(root / "desk", strange_png=scan())
    for name, note in {
        "one/t.csv": "a label file of batch one",
        "one/new.png": "added to the folder of batch one after its last run",
        "one/.hidden.png": "skipped in batch one",
        "one/never.png": "has never had such a file",
        "desk/strange.png": "not in any delivered batch",
    }.items():
        assert note in " ".join(explain_file(store, str(root / name)).notes), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zzz", "not a file, not in any delivered batch, .*neither a scan_id .*Correct the path"),
        ("zzz:whole", "not a file, not in any delivered batch, .* nor a crop_id"),
        ("f" * 31, "not a file.* neither a scan_id .32 hex digits."),
        ("one", "a folder, expected a file, a scan_id or a crop_id. Name one file in it"),
        ("one/below", "a folder, expected a file"),
        ("desk/never.png", "not a file, not in any delivered batch"),
    ],
)
def test_why_refuses_a_name_that_is_neither_a_file_nor_an_id(two, monkeypatch, name, message):
    store, root = two
    (root / "one/below").mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(ConfigError, match=f"^{name} is {message}"):
        explain_file(store, name)


def test_why_explains_a_delivered_file_that_a_folder_replaced(two):
    store, root = two
    (root / "one/b.png").unlink()
    (root / "one/b.png").mkdir()
    assert explain_file(store, str(root / "one/b.png")).attempts[0].status == "accepted"


def test_why_accepts_a_crop_id_and_an_unknown_scan_id(two):
    store, root = two
    accepted = explain_file(store, str(root / "one/a.png"))
    by_crop_id = explain_file(store, accepted.crops[0]["crop_id"])
    assert by_crop_id.scan_id == accepted.scan_id
    assert [attempt.batch for attempt in by_crop_id.attempts] == ["one", "two"]
    assert "its bytes are unknown" in explain_file(store, "0" * 32).notes[0]
