"""Progress as a bar on a terminal and as log lines elsewhere."""

import io
import logging
import sys

import pytest

from pipeline import progress as module
from pipeline.progress import format_rate, log, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal_of(monkeypatch):
    """Replace standard error; in the test itself, since pytest replaces it before every phase."""
    output = Terminal()
    monkeypatch.setattr(sys, "stderr", output)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return output


def test_a_bar_has_a_count_a_rate_and_the_time(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress("embed", 200) as advance:
        for _ in range(100):
            advance(2)
    shown = terminal.getvalue()
    assert "embed" in shown
    assert "200/200" in shown
    assert "/s" in shown
    assert "0:00:00" in shown


def test_work_that_ends_early_is_shown_as_complete(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress("learn head", 40) as advance:
        advance(25)
    assert "25/25" in terminal.getvalue()


def test_a_stage_without_items_is_not_shown(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress("cut again", 0) as advance:
        advance(0)
    assert terminal.getvalue() == ""


def test_without_a_terminal_a_line_now_and_then_has_count_rate_and_time_left(monkeypatch, caplog):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    clock = iter([0.0, 5.0, 20.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, logger="dental"), progress("embed", 300) as advance:
        advance(50)
        advance(50)
    assert [each.getMessage() for each in caplog.records] == ["embed: 100 of 300, 5.0/s, 40 s left"]


def test_log_lines_go_above_a_bar_and_do_not_break_it(monkeypatch):
    terminal = terminal_of(monkeypatch)
    handler = module.StderrHandler()
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "propagate", False)
    monkeypatch.setattr(log, "level", logging.INFO)
    with progress("embed", 2) as advance:
        log.info("a note")
        advance(2)
    # Rich erases the line of the bar, writes the note and draws the bar again below it.
    assert "\x1b[2Ka note\n" in terminal.getvalue()


@pytest.mark.parametrize(
    ("rate", "text"), [(120, "120/s"), (1.5, "1.5/s"), (0.05, "3/min"), (0.005, "18/h"), (None, "")]
)
def test_a_rate_is_in_the_unit_that_gives_a_readable_number(rate, text):
    assert format_rate(rate) == text


def test_work_at_the_same_time_shares_one_display_and_its_total_may_grow(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress("receive", 3) as received, progress("embed", 10) as embedded:
        received(3)
        embedded(10)
        embedded.expect(20)
        embedded(20)
    shown = terminal.getvalue()
    assert "3/3" in shown
    assert "30/30" in shown
    assert shown.count("\x1b[?25l") == 1  # the cursor is hidden once, by one display
