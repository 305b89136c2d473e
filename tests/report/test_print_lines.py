"""Summary lines on a terminal and in a file."""

import io

import pytest
from rich.console import Console

from pipeline.report.print_lines import print_lines

ALERT = "  ALERT       brightness differs from the reference by more than chance explains: 0.25"
PATH = "  report      /a/store/with/a/long/path/reports/2026-11-01-and-more-than-forty-columns.html"


def printed(lines, **console):
    file = io.StringIO()
    print_lines(lines, Console(file=file, **console))
    return file.getvalue()


def test_on_a_terminal_an_alert_is_coloured_and_wraps_between_words_below_its_text():
    output = printed([ALERT], force_terminal=True, width=50)
    rows = output.splitlines()
    assert len(rows) == 3
    assert all(row.startswith("\x1b[1;33m") for row in rows)
    plain = [row.removeprefix("\x1b[1;33m").removesuffix("\x1b[0m") for row in rows]
    assert all(len(row) <= 50 for row in plain)
    assert all(row.startswith(" " * 14) for row in plain[1:])
    assert " ".join(" ".join(row.split()) for row in plain) == " ".join(ALERT.split())


def test_a_path_is_never_broken():
    assert PATH.split()[1] in printed([PATH], force_terminal=True, width=40)


def test_in_a_file_every_line_stays_one_line_without_colour():
    assert printed([ALERT, PATH], width=40) == f"{ALERT}\n{PATH}\n"


@pytest.mark.parametrize("width", [20, 24, 28])
def test_a_number_stays_with_its_unit(width):
    output = printed(["  time  32.1 s: embed 28.1 s, 10 % idle"], force_terminal=True, width=width)
    assert not any(row.strip().startswith(("s", "%")) for row in output.splitlines())


def test_a_table_is_left_as_it_is():
    row = f"  {'SVM on embeddings':<38}{'0.80 (0.70–0.90)':>19}"
    assert printed([row], force_terminal=True, width=40) == f"{row}\n"
