import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.store import tables
from pipeline.store.encoded_parts import PackedPart
from pipeline.store.locks import batch_lock, begin_run, commit_lock
from pipeline.store.run_store import RunStore

SIDE = 4
CROPS = tables.crops("r0", SIDE)
NAME = CROPS.part("b", 0)


def crop_rows(count):
    """Crops of as many scans; what is not given is null."""
    pixels = np.arange(count * SIDE * SIDE, dtype=np.uint32).astype(np.uint8)
    return [
        {"crop_id": f"{number:032x}:whole", "scan_id": f"{number:032x}", "pixels": each}
        for number, each in enumerate(pixels.reshape(count, SIDE, SIDE))
    ]


def files_of(store):
    return sorted(path for path in Path(store.root).rglob("*") if path.is_file())


@pytest.mark.parametrize("count", [0, 3, 64, 150])
def test_a_published_part_has_the_bytes_of_one_packed_in_memory(store, count):
    packed = PackedPart(NAME, CROPS.schema)
    packed.add(crop_rows(count))
    with CROPS.begin(store, "b", 0) as part:
        for row in crop_rows(count):
            part.add([row])
        assert not store.has(NAME)
        part.publish()
    assert store.read_bytes(NAME) == packed.to_bytes()
    assert files_of(store) == [store.local_path(NAME)]
    found = CROPS.read(store, "b", 0)["pixels"].to_pylist()
    assert found == [row["pixels"].tobytes() for row in crop_rows(count)]


def write_some(store, count, error=None):
    with CROPS.begin(store, "b", 0) as part:
        part.add(crop_rows(count))
        if error:
            raise error


@pytest.mark.parametrize("error", [ValueError("stopped"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing_and_is_raised(store, error):
    with pytest.raises(type(error)):
        write_some(store, 70, error)
    assert files_of(store) == []


def test_a_part_that_is_not_published_leaves_nothing(store):
    write_some(store, 70)
    assert files_of(store) == []


def test_a_part_that_was_discarded_or_published_can_be_discarded_again(store):
    part = CROPS.begin(store, "b", 0)
    part.discard()
    part.discard()
    assert files_of(store) == []
    part = CROPS.begin(store, "b", 0)
    part.publish()
    part.discard()
    assert files_of(store) == [store.local_path(NAME)]


def test_a_disk_that_is_full_while_rows_come_is_the_error_and_leaves_nothing(store):
    script = f"""
import resource
from pipeline.store.store import Store
from tests.store.test_encoded_parts import write_some
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_some(Store({store.root!r}), 300)
except OSError as error:
    print(error.errno == {errno.EFBIG})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert files_of(store) == []


@pytest.mark.parametrize("place", ["store", "s3_store"])
def test_a_part_begun_before_a_commit_replaces_what_a_killed_attempt_left(place, request):
    store = request.getfixturevalue(place)
    with batch_lock(store, "b"):
        run = RunStore(store.root, "b", begin_run(store, "b"))
        run.write_bytes(NAME, b"left")
        with CROPS.begin(run, "b", 0) as part:
            part.add(crop_rows(2))
            with commit_lock(run):
                part.publish()
        assert CROPS.read(run, "b", 0).num_rows == 2
