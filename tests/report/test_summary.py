"""Records of runs."""

import json

from pipeline.report.summary import (
    Summary,
    last_summary,
    write_record,
)
from tests.builders.stores import small_store


def test_records_of_one_second_are_listed_in_the_order_they_were_written(tmp_path):
    store = small_store(tmp_path).store
    for number in range(20):
        write_record(store, Summary("batch", "recipe", "trunk", notes=[str(number)]))
    assert last_summary(store, "batch").notes == ["19"]
    notes = [json.loads(store.read_bytes(name))["notes"] for name in store.names("runs/batch")]
    assert notes == [[str(number)] for number in range(20)]
