"""A Dask preload for tests: a fake trunk that kills one worker while it embeds."""

import os
import signal
from pathlib import Path

from pipeline.jobs import resources
from tests.builders.fakes import FakeTrunk

VICTIM = "TEST_VICTIM"  # environment variable: a file; the worker that creates it is killed


class DiesOnce:
    """Embeds like `FakeTrunk`; the first worker that embeds is killed in the middle."""

    @staticmethod
    def embed(crops):
        try:
            Path(os.environ[VICTIM]).touch(exist_ok=False)
        except FileExistsError:
            return FakeTrunk.embed(crops)
        os.kill(os.getpid(), signal.SIGKILL)


def dask_setup(worker):
    resources.embedder = lambda store, chosen: DiesOnce
