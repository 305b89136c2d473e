"""How good a head is, on the fixed test side."""

import sys
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.cli.app import StoreOption, commands, console, settings_of


@commands.command("evaluate")
def evaluate(
    head: Annotated[str | None, typer.Option(help="A head; without one: the champion.")] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of abnormal crops for the PPV; without one: as on the test side."),
    ] = None,
    specificity: Annotated[
        list[float] | None,
        typer.Option(help="Sensitivity at this specificity; may be given again. 0.8, 0.9, 0.95."),
    ] = None,
    store: StoreOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one row per number.")] = False,
) -> None:
    """Measure a head on the test side: whole, by class and by slice, with a proof of the sides."""
    from pipeline.learn.evaluate import SPECIFICITIES, evaluate_head
    from pipeline.report.evaluation_report import as_rows, format_evaluation, write_page
    from pipeline.store.base import Store

    settings = settings_of(store)
    opened = Store(settings.store)
    found = evaluate_head(
        opened, head, settings.near_duplicate_bits, prevalence, specificity or SPECIFICITIES
    )
    if csv:
        as_rows(found).to_csv(sys.stdout, index=False)
        return
    words = format_evaluation(found)
    out = console()
    say = partial(out.print, markup=False, highlight=False, soft_wrap=True)
    say("\n".join([*words.proof, "", *words.before]))
    for title, header, rows in words.tables:
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*map(escape, row))
        out.print(table)
    say("\n".join([*words.after, "For research, not for diagnosis."]))
    try:
        say(f"Page: {settings.store}/{write_page(opened, found)}")
    except OSError as error:  # whoever may read the store may still measure
        say(f"The page was not written to {settings.store}/reports: {error.strerror}.")
