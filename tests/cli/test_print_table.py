"""Rows as a table or as blocks: whatever the width, every value is printed whole."""

import pytest
from rich.console import Console

from pipeline.cli import print_table

ID = "0539ec8b99fd85a88110620d16dd2181:box-212-233-90-86"
HEADER = ("batch", "crop_id", "p_abnormal")
ROWS = [("night", ID, 0.5), ("a batch, named at length", ID, None)]
TABLE = 4 + len("a batch, named at length") + len(ID) + len("p_abnormal") + 2 * 3  # columns


@pytest.fixture
def printed(monkeypatch, capsys):
    def at(width, *rows, **options):
        monkeypatch.setattr(print_table, "console", lambda: Console(width=width))
        print_table.print_rows(*rows, **options)
        return capsys.readouterr().out

    return at


def test_rows_that_fit_are_a_table_and_one_column_less_makes_them_blocks(printed):
    table = printed(TABLE, HEADER, ROWS)
    assert len(table.splitlines()) == 3 + len(ROWS) + 1
    assert {len(line) for line in table.splitlines()} == {TABLE}
    assert printed(TABLE - 1, HEADER, ROWS).splitlines() == [
        "batch       night",
        f"crop_id     {ID}",
        "p_abnormal  0.500",
        "",
        "batch       a batch, named at length",
        f"crop_id     {ID}",
        "p_abnormal",
    ]


@pytest.mark.parametrize("width", [1, 20, 80, 180, 400])
def test_no_value_is_cut_or_broken_at_any_width(printed, width):
    header = [f"column_{number}" for number in range(25)]
    output = printed(width, header, [[f"{ID}-{number}" for number in range(25)]])
    assert all(f"{ID}-{number}" in output for number in range(25))
    assert "…" not in output


@pytest.mark.parametrize("width", [20, 75, 76, 180])
def test_only_prose_is_wrapped_and_never_to_one_word_a_line(printed, width):
    prose = "What to look at first: unseen, then the likeliest abnormal, then all others."
    row = ("near_duplicates", "crop_id k own_patient trunk", prose)
    output = printed(width, ("query", "parameters", "answers"), [row, row], prose="answers")
    assert output.count(row[0]) == output.count(row[1]) == 2
    assert "…" not in output
    assert len(output.splitlines()) <= 4 + 2 * 4


def test_text_that_looks_like_markup_is_printed_as_it_is(printed):
    for width in (80, 10):
        assert "[b]caries :tooth: [/x]" in printed(width, ["label"], [["[b]caries :tooth: [/x]"]])


def test_no_rows_are_reported_where_not_even_the_header_fits(printed):
    assert "p_abnormal" in printed(TABLE, HEADER, [])
    assert printed(20, HEADER, []) == "No rows.\n"
