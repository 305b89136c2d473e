"""Records of runs."""

import json

from pipeline import config
from pipeline.ingest.labels import problems
from pipeline.report.batch_summary import (
    NOTICES,
    Summary,
    format_summary,
    last_summary,
    write_record,
)
from pipeline.report.night_record import NightRecord, of_summary
from pipeline.stages.plan import PlannedBatch
from tests.builders.stores import small_store


def test_records_of_one_second_are_listed_in_the_order_they_were_written(tmp_path):
    store = small_store(tmp_path).store
    for number in range(20):
        write_record(store, Summary("batch", "recipe", "trunk", notes=[str(number)]))
    assert last_summary(store, "batch").notes == ["19"]
    notes = [json.loads(store.read_bytes(name))["notes"] for name in store.names("runs/batch")]
    assert notes == [[str(number)] for number in range(20)]


def test_notices_and_boxes_beyond_their_scans_are_counted_with_what_to_do(tmp_path):
    opened = small_store(tmp_path)
    planned = PlannedBatch("b", notices=dict.fromkeys(problems.NOTICES, 2) | {"empty_file": 3})
    counts = {"clipped_boxes": 4, "boxes_outside": 1}
    summary = Summary("b", "recipe", "trunk", planned=planned, counts=counts)
    text = "\n".join(format_summary(summary, opened.settings))
    assert "folders not used as classes: 2; if they are classes, list their names" in text
    assert "empty YOLO files: 3;" in text
    assert "4 clipped, 1 outside and not used; which: dental query box_problems batch=b" in text
    summary = Summary("b", "recipe", "trunk", planned=PlannedBatch("b"))
    assert "clipped" not in "\n".join(format_summary(summary, opened.settings))
    assert NOTICES.keys() == problems.NOTICES.keys()
    summary.planned.notices = dict.fromkeys(NOTICES, 47)
    lines = "\n".join(format_summary(summary, config.Settings()))
    assert lines.count("47") == len(NOTICES)


def test_a_label_file_of_other_scans_gives_status_2_and_is_named(tmp_path):
    settings = config.load(store=str(tmp_path / "store"))
    planned = PlannedBatch("b", unmatched_files=1)
    summary = Summary("b", "recipe", "trunk", planned=planned, worked={"receive": 1})
    assert summary.exit_status(settings) == 2
    message = "1 label file: fewer than half of the lines match a scan"
    assert any(message in line for line in format_summary(summary, settings))
    assert any(message in line for line in of_summary(summary, settings).lines)
    assert NightRecord(unmatched_files=1).exit_status == 2
    assert Summary("b", "recipe", "trunk").exit_status(settings) == 0
