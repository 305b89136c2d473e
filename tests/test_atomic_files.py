"""Files that appear whole, and the sweeping of leftovers, in a store and a private folder."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from pipeline import atomic_files
from pipeline.atomic_files import AtomicFiles
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.process_id import ProcessId
from pipeline.store.store import Store

DAY = 24 * 3600


@pytest.fixture(params=["store", "private folder"])
def folder(request, tmp_path):
    """Something that writes files whole, below `tmp_path`."""
    if request.param == "store":
        return Store(str(tmp_path))
    return PrivateFolder(tmp_path, bytes(32))


def leave(root, process, token="aaaa", age=0):
    """A file that `process` has not finished, last written `age` seconds ago."""
    path = root / ".tmp" / f"{process}.{token}"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_file_of_a_killed_process_whose_number_was_reused_is_swept(folder, tmp_path):
    left = leave(tmp_path, ProcessId.this()._replace(started="1"))
    assert folder.sweep() == 1
    assert not left.exists()


def test_a_file_of_a_running_process_is_left_alone(folder, tmp_path):
    written = leave(tmp_path, ProcessId.this())
    assert folder.sweep() == 0
    assert written.exists()


def test_a_file_of_another_machine_is_left_alone_for_a_day(folder, tmp_path):
    elsewhere = ProcessId("0" * 16, 2**22 + 1, "1")
    new = leave(tmp_path, elsewhere, "new")
    old = leave(tmp_path, elsewhere, "old", age=2 * DAY)
    assert folder.sweep() == 1
    assert (new.exists(), old.exists()) == (True, False)


def test_a_file_with_a_name_of_another_form_is_left_alone_for_a_day(folder, tmp_path):
    assert leave(tmp_path, "notes").exists()
    assert folder.sweep() == 0


@pytest.fixture(params=["nameless", "named"])
def _both_kinds(request, monkeypatch):
    """Unfinished files without a name, where there are some, and with one."""
    if request.param == "named":
        monkeypatch.setattr(atomic_files, "HANDLES", Path("/none"))


@pytest.mark.usefixtures("_both_kinds")
def test_an_interrupted_write_leaves_the_old_content_and_nothing_else(tmp_path):
    files, path = AtomicFiles(tmp_path), tmp_path / "a" / "b"
    with files.writing(path, 0o644) as file:
        file.write(b"old")
    with pytest.raises(ZeroDivisionError), files.writing(path, 0o644) as file:
        file.write(b"%d" % (1 // 0))
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert path.read_bytes() == b"old"


@pytest.mark.usefixtures("_both_kinds")
def test_of_two_that_create_a_file_the_first_wins(tmp_path):
    files, path = AtomicFiles(tmp_path), tmp_path / "key"
    assert files.create(path, b"first", 0o600)
    assert not files.create(path, b"second", 0o600)
    assert path.read_bytes() == b"first"
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_the_private_folder_writes_for_its_owner_alone(tmp_path):
    private = PrivateFolder(tmp_path / "private", bytes(32))
    private.write("deliveries/b/list", b"names")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in private.root.rglob("*")}
    assert modes == {0o600, 0o700}


@pytest.mark.parametrize("refusal", [errno.EOPNOTSUPP, errno.EISDIR])
def test_a_file_system_without_nameless_files_gets_named_ones(tmp_path, monkeypatch, refusal):
    original = os.open

    def refuse(path, flags, *mode):
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
            raise OSError(refusal, "refused")
        return original(path, flags, *mode)

    monkeypatch.setattr(atomic_files.os, "open", refuse)
    with AtomicFiles(tmp_path).writing(tmp_path / "a", 0o644) as file:
        file.write(b"new")
        assert len(list((tmp_path / ".tmp").iterdir())) == 1
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list((tmp_path / ".tmp").iterdir()) == []
