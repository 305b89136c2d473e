"""Full and read-only disks: small disks in memory, which only root can mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.forked_runs import DONE, FAILED, REFUSED, process_batch, run


def can_mount() -> bool:
    """Whether this process can mount a small disk."""
    return os.name == "posix" and os.geteuid() == 0 and Path("/proc/mounts").exists()


@contextlib.contextmanager
def disk(place: Path, kilobytes: int) -> Iterator[None]:
    """Mount a disk of this size at `place`."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, options: str) -> None:
    """Change a mounted disk, to `ro` or to another size."""
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def full_disks(trials, sizes: Iterator[int]) -> Iterator[str]:
    """The disk fills up during the run; with more space the next run completes it."""
    for kilobytes in sizes:
        root, what = trials.home / f"disk-{kilobytes}", f"a disk of {kilobytes} KB"
        with disk(root, kilobytes):
            status = run(lambda root=root: process_batch(root, trials.folder, "b")).status
            assert status in (DONE, REFUSED, FAILED), f"{what}: status {status}"
            remount(root, "size=64m")
            trials.check_recovery(root, what, keep=True)
        yield what


def read_only_disk(trials) -> Iterator[str]:
    """A store on a read-only disk is refused with an error and stays unchanged."""
    root, what = trials.home / "read-only", "a read-only disk"
    with disk(root, 65536):
        assert run(lambda: process_batch(root, trials.folder, "b")).status == DONE
        remount(root, "ro")
        assert run(lambda: process_batch(root, trials.folder, "b")).status == REFUSED, what
        remount(root, "rw")
        trials.check_recovery(root, what, keep=True)
    yield what
