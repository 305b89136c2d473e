import pytest

from pipeline.config import GROUPS, Settings

FIELDS = [
    (group.__name__, name)
    for group in (Settings, *GROUPS.values())
    for name in group.model_fields
    if name not in GROUPS or group is not Settings
]


@pytest.mark.parametrize(("group", "name"), FIELDS)
def test_every_setting_has_a_description_in_whole_sentences(group, name):
    fields = {g.__name__: g.model_fields for g in (Settings, *GROUPS.values())}
    description = fields[group][name].description
    assert description, f"describe `{name}` by a string below it"
    assert description.rstrip().endswith("."), description


def test_every_table_of_settings_has_a_description():
    assert all(group.__doc__ for group in GROUPS.values())
