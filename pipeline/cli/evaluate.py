"""`dental evaluate`: how good a head is, on the fixed test side."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import LOOK, CsvOption, JsonOption, StoreOption, commands, settings_of
from pipeline.cli.output import console, print_csv, show

if TYPE_CHECKING:
    from pipeline.learn.evaluate import HeadEvaluation


@commands.command("evaluate", rich_help_panel=LOOK)
def evaluate(
    head: Annotated[
        str | None, typer.Option(help="A head; without one: the champion. May be shortened.")
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of abnormal crops for the PPV; without one: as on the test side."),
    ] = None,
    specificity: Annotated[
        list[float] | None,
        typer.Option(help="Sensitivity at this specificity; may be given again. 0.8, 0.9, 0.95."),
    ] = None,
    store: StoreOption = None,
    csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a head on the test side: whole, by class and by slice, with a proof of the sides."""
    from pipeline.learn.evaluate import SPECIFICITIES, evaluate_head
    from pipeline.report.evaluation_report import as_rows
    from pipeline.report.model_page import write_page
    from pipeline.store.store import Store

    settings = settings_of(store)
    opened = Store(settings.store)
    found = evaluate_head(
        opened, head, settings.near_duplicate_bits, prevalence, specificity or SPECIFICITIES
    )
    if csv:
        print_csv(as_rows(found))
        return
    try:
        page = f"Page: {settings.store}/{write_page(opened, found)}"
    except OSError as error:  # whoever may read the store may still measure
        page = f"The page was not written to {settings.store}/reports: {error.strerror}."
    show(found.values(), as_json, lambda: _print_evaluation(found, page))


def _print_evaluation(found: "HeadEvaluation", page: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from pipeline.report.evaluation_report import format_evaluation
    from pipeline.report.print_lines import print_lines

    text = format_evaluation(found)
    print_lines([*text.proof, "", *text.before])
    for title, header, rows in text.tables:
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*map(escape, row))
        console().print(table)
    print_lines([*text.after, "For research, not for diagnosis.", page])
