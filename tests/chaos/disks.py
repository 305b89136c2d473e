"""Real disks that are full or read-only: small memory disks, which only root may mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.victims import DONE, FAILED, REFUSED, process_batch, run


def can_mount() -> bool:
    """Whether this process may make a small disk."""
    return os.name == "posix" and os.geteuid() == 0 and Path("/proc/mounts").exists()


@contextlib.contextmanager
def disk(place: Path, kilobytes: int) -> Iterator[None]:
    """A disk of so many kilobytes at `place`."""
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
    """The disk fills up somewhere in the run; with more room the run goes on and ends well."""
    for kilobytes in sizes:
        root, what = trials.home / f"disk-{kilobytes}", f"a disk of {kilobytes} KB"
        with disk(root, kilobytes):
            status = run(lambda root=root: process_batch(root, trials.folder, "b")).status
            assert status in (DONE, REFUSED, FAILED), f"{what}: status {status}"
            remount(root, "size=64m")
            trials.make_good(root, what, keep=True)
        yield what


def read_only_disk(trials) -> Iterator[str]:
    """A store that may not be written is refused in words, and nothing happens to it."""
    root, what = trials.home / "read-only", "a read-only disk"
    with disk(root, 65536):
        assert run(lambda: process_batch(root, trials.folder, "b")).status == DONE
        remount(root, "ro")
        assert run(lambda: process_batch(root, trials.folder, "b")).status == REFUSED, what
        remount(root, "rw")
        trials.make_good(root, what, keep=True)
    yield what
