"""The command that runs when a night fails."""

import logging

import pytest

from pipeline.jobs import on_failure
from tests.builders.stores import small_store


def settings(tmp_path, command):
    return small_store(tmp_path, on_failure=command).settings


def test_the_command_gets_the_message_on_its_standard_input(tmp_path):
    on_failure.run_failure_command(
        settings(tmp_path, f"cat | tr a-z A-Z > {tmp_path}/heard"), "it failed\n"
    )
    assert (tmp_path / "heard").read_text() == "IT FAILED\n"


def test_an_error_runs_the_command_with_the_class_of_the_error_alone(tmp_path):
    given = settings(tmp_path, f"cat > {tmp_path}/heard")
    with pytest.raises(OSError, match="Ann Smith"), on_failure.report_failure(given):
        raise OSError("Ann Smith/x.png: input/output error")
    message = (tmp_path / "heard").read_text()
    assert "could not be done: OSError" in message
    assert "Ann" not in message


def test_a_command_that_fails_or_hangs_is_logged_and_stops_nothing(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(on_failure, "SECONDS", 0.2)
    with caplog.at_level(logging.ERROR, logger="dental"):
        on_failure.run_failure_command(settings(tmp_path, "exit 3"), "x")
        on_failure.run_failure_command(settings(tmp_path, "exec sleep 5"), "x")
        on_failure.run_failure_command(settings(tmp_path, None), "x")
    assert [record.getMessage() for record in caplog.records] == [
        "The command of `on_failure` ended with status 3; the alarm may not have arrived.",
        "The command of `on_failure` took longer than 0 s and was ended.",
    ]
