"""The last night as a watchdog checks it, and as people read it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from pipeline.cli.__main__ import commands
from pipeline.errors import ConfigError
from pipeline.report.night_record import (
    BatchNight,
    NightRecord,
    format_night,
    last_night,
    write_night,
)
from tests.builders.stores import small_store


@pytest.fixture
def small(tmp_path):
    return small_store(tmp_path)


def finished(small, ago, **facts):
    """A night that finished so long ago."""
    when = datetime.now(UTC) - ago
    night = NightRecord(finished_at=when.isoformat(timespec="seconds"), **facts)
    record = json.dumps(night.__dict__).encode()
    small.store.write_bytes(f"runs/night-{when:%Y%m%dT%H%M%S}-aaaaaa.json", record)


def status(small, *options):
    return CliRunner().invoke(commands, ["status", "--store", small.settings.store, *options])


def test_status_is_1_when_no_night_finished_in_time(small):
    asked = status(small)
    assert asked.exit_code == 1
    assert "no nightly run has ever finished" in asked.output
    finished(small, timedelta(hours=25))
    assert status(small).exit_code == 0
    assert status(small, "--max-age", "26h").exit_code == 0
    asked = status(small, "--max-age", "24h")
    assert asked.exit_code == 1
    assert "LATE: it finished at" in asked.output
    finished(small, timedelta(minutes=1))
    assert status(small, "--max-age", "24h").exit_code == 0


def test_status_is_1_when_the_last_night_failed(small):
    finished(small, timedelta(hours=2))
    finished(small, timedelta(hours=1), failures=["training: OSError"])
    asked = status(small)
    assert asked.exit_code == 1
    assert "FAILED  training: OSError" in asked.output
    assert "LATE" not in asked.output


def test_a_night_from_the_future_does_not_silence_the_watchdog(small):
    finished(small, -timedelta(days=400))
    assert last_night(small.store) is None
    finished(small, timedelta(hours=30))
    assert status(small, "--max-age", "24h").exit_code == 1


def test_an_invalid_age_is_refused_with_an_example(small):
    asked = status(small, "--max-age", "yesterday")
    assert isinstance(asked.exception, ConfigError)
    assert "`yesterday`, expected a number and s, m, h or d" in str(asked.exception)


def test_a_night_is_read_as_it_was_written_and_printed_with_its_batches(small):
    labels = {"files": 1, "appended": 3, "withdrawn": 1, "unused": 3}
    night = NightRecord(head="none was trained.", labels=labels, many_rejected=True)
    night.batches["20261101"] = BatchNight(
        "new",
        {"accepted": 5, "rejected": 1},
        7.4,
        "reports/20261101.html",
        ["note  drift: none"],
        {"flagged": 2, "near_duplicates": 1, "blurred": 4, "odd_shape": 0},
        ["more than 10% of the files were rejected"],
    )
    night.batches["20261102"] = BatchNight("unchanged")
    write_night(small.store, night, small.settings)
    assert last_night(small.store) == night
    text = "\n".join(format_night(night, small.settings))
    assert "20261101  new: 5 accepted, 0 duplicate, 1 rejected, 7 s" in text
    assert "note  drift: none" in text
    assert "20261102" not in text
    assert "1 batches unchanged" in text
    assert "2 appended and 1 withdrawn from 1 new files, 3 lines unused" in text
    assert "2 flagged crops, 1 pair of similar scans, 4 blurred scans" in text
    assert "STATUS 2  20261101: more than 10% of the files were rejected" in text


def test_a_table_that_was_held_back_needs_a_person(small):
    night = NightRecord(held_tables=["table 2: it withdraws 3 labels"])
    assert night.exit_status == 2
    text = "\n".join(format_night(night, small.settings))
    assert "HELD    table 2: it withdraws 3 labels; look at it, then: dental feedback" in text
