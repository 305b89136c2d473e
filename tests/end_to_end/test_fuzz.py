"""A short run of `make fuzz`: 800 damaged files decoded by real workers."""

import pytest

from pipeline.ingest.workers.pool import WorkerPool
from tests import fuzz

pytestmark = pytest.mark.slow


def test_every_damaged_file_is_accepted_or_rejected():
    workers = WorkerPool(2, fuzz.SECONDS, fuzz.MEMORY_MB)
    try:
        result = fuzz.fuzz(800, 200, workers)
    finally:
        workers.close()
    assert result.violations() == []
    assert result.outcomes.total() == 800
    assert {"accepted", "undecodable"} <= set(result.outcomes)


def test_damage_is_reproducible_and_changes_every_file():
    files = fuzz.seeds()
    made = [fuzz.damaged(files, number) for number in range(60)]
    assert made == [fuzz.damaged(files, number) for number in range(60)]
    assert len(set(made) - set(files)) > 50
