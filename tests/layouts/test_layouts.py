"""Some of the layouts, from the folder to the store; `make try-layouts` tries them all."""

import pytest

from pipeline import config
from tests.layouts.layouts import LAYOUTS
from tests.layouts.table import checked, run_values

BY_NAME = {layout.name: layout for layout in LAYOUTS}


@pytest.mark.parametrize("name", ["table_of_other_scans", "whole_panoramics", "export_of_a_viewer"])
def test_a_run_does_what_the_check_has_announced(name, tmp_path):
    found, _ = checked(BY_NAME[name], tmp_path / "check")
    run = run_values(BY_NAME[name], tmp_path / "run")
    assert run["accepted"] == sum(found.counts.formats.values())
    assert run["patients"] == found.counts.patients
    assert run["rejected"] == found.counts.unusable
    assert (run["status"] == 2) == bool(found.counts.unmatched_files)
    whole = found.counts.whole_labels
    assert any(f"{whole} labels of whole panoramics" in each for each in run["lines"]) == (
        whole > 0
    )


def test_every_layout_has_a_name_and_known_settings():
    assert len(BY_NAME) == len(LAYOUTS)
    for layout in LAYOUTS:
        assert layout.title
        assert layout.settings.keys() <= config.Settings.model_fields.keys()
