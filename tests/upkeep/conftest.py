import shutil

import pytest

from pipeline.stages.plan import deliver
from tests.builders.fakes import use_fakes
from tests.builders.scans import panoramic, scan, write_files
from tests.builders.stores import process_folder, small_store


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    use_fakes(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root, patch = tmp_path_factory.mktemp("why"), pytest.MonkeyPatch()
    use_fakes(patch)
    store, same = small_store(root), panoramic()
    box = "file,label,x,y,w,h\n{},caries,{},20,10,10\n"
    write_files(root / "one", a_png=same, b_png=scan(), c_png=b"broken", s_png=scan())
    write_files(root / "one", t_csv=box.format("a.png", 40) + "b.png,nonsense!,,,,\n")
    write_files(root / "two", other_png=same, d_png=scan(), t_csv=box.format("other.png", 70))
    process_folder(store, root / "one", "one")
    process_folder(store, root / "two", "two")
    patch.undo()
    return root


@pytest.fixture
def two(made, tmp_path):
    """Batch `one` and batch `two`, which has a panoramic of `one` with another box."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    store = small_store(tmp_path)
    for batch in ("one", "two"):
        deliver(tmp_path / batch, batch, store)
    return store, tmp_path
