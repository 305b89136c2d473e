"""What people write as a path is expanded in every setting and argument."""

import os
import re
from pathlib import Path

import pytest
import typer

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.paths import expand_path
from tests.cli.test_app import dental


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("~", "{home}/home"),
        ("~/a b", "{home}/home/a b"),
        ("$DATA/x", "{home}/data/x"),
        ("${DATA}x/~", "{home}/datax/~"),
        ("~/$DATA", "{home}/home/{home}/data"),
        ("s3://$DATA/x", "s3://{home}/data/x"),
        ("plain/100$/5", "plain/100$/5"),
        ("", ""),
    ],
)
def test_home_and_variables_are_expanded(home, written, expanded):
    assert expand_path(written) == expanded.format(home=home)


@pytest.mark.parametrize("written", ["$NOWHERE/x", "a/${NOWHERE}", "~nobody-of-this-name/x"])
def test_what_is_not_set_is_refused_unless_a_file_has_that_name(home, written):
    with pytest.raises(ValueError, match="set it, or write the whole path"):
        expand_path(written)
    (home / written).mkdir(parents=True)
    assert expand_path(written) == written


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("NOWHERE", "")
    with pytest.raises(ValueError, match="the variable NOWHERE is not set"):
        expand_path("$NOWHERE/store")


def test_every_setting_that_is_a_path_is_expanded(home, monkeypatch):
    monkeypatch.setenv("DENTAL_CONFIG", "~/own.toml")
    (home / "home").mkdir()
    (home / "home" / "own.toml").write_text(
        'store = "~/store"\ninbox = "$DATA/in"\nprivate = "~/keys"\nfeedback = "$DATA/csv"\n'
        '[trunk]\nweights = "~/own.keras"\n',
        encoding="utf-8",
    )
    settings = config.load()
    assert settings.store == f"{home}/home/store"
    assert settings.inbox == f"{home}/data/in"
    assert settings.private == home / "home" / "keys"
    assert settings.feedback == home / "data" / "csv"
    assert settings.trunk.weights == home / "home" / "own.keras"


@pytest.mark.parametrize("name", ["STORE", "INBOX", "PRIVATE", "FEEDBACK", "TRUNK__WEIGHTS"])
def test_a_setting_with_an_unknown_variable_is_refused_with_its_name(monkeypatch, name):
    monkeypatch.setenv(f"DENTAL_{name}", "$NOWHERE/X")
    with pytest.raises(ConfigError, match=re.escape("'$NOWHERE/X': the variable NOWHERE is not")):
        config.load()


def test_a_settings_file_with_an_unknown_variable_is_refused(monkeypatch):
    monkeypatch.setenv("DENTAL_CONFIG", "$NOWHERE/own.toml")
    with pytest.raises(ConfigError, match=r"DENTAL_CONFIG is .*the variable NOWHERE is not set"):
        config.load()


def test_arguments_and_options_of_dental_are_expanded(home):
    (home / "home").mkdir()
    drawn = dental("phantoms", "~/out", "--scans", "1", "--height", "100", cwd=home)
    assert drawn.returncode == 0, drawn.stderr
    assert any(Path(home, "home", "out").iterdir())
    for arguments in (["status", "--store", "~/gone"], ["query", "batches", "--store=~/gone"]):
        asked = dental(*arguments, cwd=home)
        assert f"There is no store {home}/home/gone" in asked.stderr
    asked = dental("run", "$NOWHERE/scans", "--store", "~/store", cwd=home)
    assert asked.returncode == 1
    assert "$NOWHERE/scans: the variable NOWHERE is not set" in asked.stderr
    assert len(asked.stderr.splitlines()) == 1
    assert "~" not in os.listdir(home)


def test_every_path_of_the_command_line_is_expanded():
    import pipeline.cli.__main__  # noqa: F401  # adds every command
    from pipeline.cli.app import commands

    named = {"store", "folder", "file", "out", "scan"}
    for name, command in typer.main.get_command(commands).commands.items():
        for each in getattr(command, "commands", {name: command}).values():
            for parameter in each.params:
                if parameter.name in named:
                    assert parameter.callback, f"`{name}` takes {parameter.name} as it is written"
