"""What a Dask worker of the tests loads first: a stand-in for the trunk that kills one worker."""

import os
import signal
from pathlib import Path

from pipeline.jobs import resources
from tests.batches import Halved

VICTIM = "TEST_VICTIM"  # names a file; who makes it dies


class DiesOnce:
    """Embeds like `Halved`; of all workers the first one to embed is killed in the middle of it."""

    @staticmethod
    def embed(crops):
        try:
            Path(os.environ[VICTIM]).touch(exist_ok=False)
        except FileExistsError:
            return Halved.embed(crops)
        os.kill(os.getpid(), signal.SIGKILL)


def dask_setup(worker):
    resources.embedder = lambda store, chosen: DiesOnce
