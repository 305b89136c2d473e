"""Settings of earlier versions are ignored with a notice instead of being refused."""

import logging

import pytest

from pipeline import config, removed_settings
from pipeline.errors import ConfigError
from pipeline.removed_settings import REMOVED


@pytest.fixture(autouse=True)
def _removed(monkeypatch, tmp_path):
    """Two settings that were removed, and an empty folder to load settings in."""
    monkeypatch.setitem(REMOVED, "head.taught", "it gained too little")
    monkeypatch.setitem(REMOVED, "turbo", "all runs are fast")
    monkeypatch.chdir(tmp_path)
    removed_settings.log_once.cache_clear()


def notices(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_settings_file_may_hold_removed_settings(tmp_path, caplog):
    (tmp_path / "dental.toml").write_text("turbo = true\n[head]\ntaught = 5\nepochs = 7\n")
    assert config.load().head == config.Head(epochs=7)
    assert sorted(notices(caplog)) == [
        "Setting `head.taught` is ignored: it gained too little. Remove it from your settings.",
        "Setting `turbo` is ignored: all runs are fast. Remove it from your settings.",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "place"),
    [
        ("DENTAL_HEAD__TAUGHT", "5", "DENTAL_HEAD__TAUGHT"),
        ("DENTAL_HEAD", '{"taught": 5}', "your settings"),
        ("DENTAL_TURBO", "yes", "DENTAL_TURBO"),
    ],
)
def test_so_may_variables(monkeypatch, caplog, variable, value, place):
    monkeypatch.setenv(variable, value)
    assert config.load() == config.Settings()
    [notice] = notices(caplog)
    assert notice.endswith(f"Remove it from {place}.")


def test_each_is_noticed_once_a_process(monkeypatch, caplog):
    monkeypatch.setenv("DENTAL_HEAD__TAUGHT", "5")
    config.load()
    config.load()
    assert len(notices(caplog)) == 1


def test_a_group_of_removed_settings_alone_does_not_count_as_set(tmp_path):
    """A recipe that is set takes precedence over the champion's."""
    (tmp_path / "dental.toml").write_text("[recipe]\ntile_step = 0.5\n")
    assert "recipe" not in config.load().model_fields_set


def test_a_misspelt_setting_is_still_refused(tmp_path):
    (tmp_path / "dental.toml").write_text("[head]\ntaughtt = 5\n")
    with pytest.raises(ConfigError, match=r"unknown setting `head.taughtt`"):
        config.load()


def test_no_setting_is_both_removed_and_in_use(monkeypatch):
    monkeypatch.undo()
    for key in REMOVED:
        group, _, name = key.rpartition(".")
        fields = (config.GROUPS[group] if group else config.Settings).model_fields
        assert name not in fields
