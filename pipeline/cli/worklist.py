"""`dental worklist`: what to look at first, in the columns that a person reads."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import LOOK, CsvOption, JsonOption, StoreOption, commands, settings_of
from pipeline.cli.output import console, print_csv, show

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20
COLUMNS = ["rank", "crop_id", "tooth", "predicted", "p", "flags", "delivered", "batch"]
HEADINGS = {"crop_id": "id", "delivered": "label"}


@commands.command("worklist", rich_help_panel=LOOK)
def worklist(
    all_rows: Annotated[bool, typer.Option("--all", help=f"Not only the first {ROWS}.")] = False,
    reviewer: Annotated[
        str | None,
        typer.Option(help="Code of a reviewer: what they have to read, as second reader too."),
    ] = None,
    store: StoreOption = None,
    csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the crops to look at first: unseen in training, then the likeliest abnormal.

    A tooth marked ? is a guess from the place. Flags: flagged by the champion, audit (drawn by
    chance), seen in training, repeat of a likelier place, novel, and those of the scan's quality.
    """
    from pipeline.learn.decisions import checked_reviewer
    from pipeline.store import catalog
    from pipeline.store.short_ids import shorten_crop_ids

    settings = settings_of(store)
    code = None if reviewer is None else checked_reviewer(reviewer)
    # One more than is shown, to know whether there are more.
    given = {"limit": None if all_rows else ROWS + 1, "reviewer": code}
    with catalog.open_store(settings.store) as con:
        found = catalog.query(con, "worklist_lines", double_read=settings.double_read, **given)
        rows = found[COLUMNS] if all_rows else found[COLUMNS].head(ROWS)
        if csv:
            # The column to fill in is empty: a list that is given back as it is decides nothing.
            rows.insert(COLUMNS.index("batch"), "label", "")
            print_csv(rows.assign(flags=rows["flags"].map(" ".join)))
            return
        short = shorten_crop_ids(con, list(rows["crop_id"])) if len(rows) and not as_json else []
        disputed = len(catalog.query(con, "disputed"))
    notes = [f"The first {ROWS}; the others: dental worklist --all"] * (len(found) > len(rows))
    notes += [f"{disputed} crops are in dispute: dental query disputed"] * (disputed > 0)
    show(rows, as_json, lambda: _print_text(rows, short, notes))


def _print_text(rows: "pd.DataFrame", short: list[str], notes: list[str]) -> None:
    if rows.empty:
        print("The work-list is empty: no head has predicted yet, or all crops are reviewed.")
    else:
        _print_table(rows.astype(object).assign(crop_id=short, flags=rows["flags"].map(" ".join)))
    print(*notes, sep="\n", end="\n" if notes else "")


def _print_table(rows: "pd.DataFrame") -> None:
    """Print a table that fits 80 columns: names of classes and flags wrap, ids never do."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from pipeline.cli.print_table import cell

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(
            HEADINGS.get(name, name),
            no_wrap=name not in ("predicted", "flags", "delivered"),
            overflow="fold",
        )
    for row in rows.where(rows.notna(), None).itertuples(index=False):
        # As texts, because a label such as [b] would be taken for markup.
        table.add_row(*(Text(cell(value)) for value in row))
    console().print(table)
