"""The short form of `make fuzz`: some hundred damaged files through the real workers."""

from pipeline.ingest.workers.pool import WorkerPool
from tests import fuzz


def test_damaged_files_all_come_out_and_nothing_but_rejections_is_raised():
    workers = WorkerPool(2, fuzz.SECONDS, fuzz.MEMORY_MB)
    try:
        result = fuzz.fuzz(800, 200, workers)
    finally:
        workers.close()
    assert result.violations() == []
    assert result.outcomes.total() == 800
    assert {"accepted", "undecodable"} <= set(result.outcomes)


def test_damage_is_the_same_in_every_run_and_leaves_no_file_as_it_was():
    files = fuzz.seeds()
    made = [fuzz.damaged(files, number) for number in range(60)]
    assert made == [fuzz.damaged(files, number) for number in range(60)]
    assert len(set(made) - set(files)) > 50
