"""`dental review export` and `import`, and `dental feedback`: labels by way of a table."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import LEARN, JsonOption, StoreOption, commands, expanded, settings_of
from pipeline.cli.output import show
from pipeline.cli.review import review_commands
from pipeline.cli.run import finish, notices, start

TableArgument = Annotated[
    Path,
    typer.Argument(
        callback=expanded,
        help="CSV or Excel with crop_id, label and reviewer; or COCO, CVAT or Label Studio.",
    ),
]
ReviewerOption = Annotated[
    str | None,
    typer.Option(help="Code of the reviewer, for a file of an annotation tool, which has none."),
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Also when it withdraws labels or changes many.")
]
HELD = 2  # the exit status, as for other things that a person has to look at


@review_commands.command("export")
def export_table(
    out: Annotated[Path, typer.Argument(callback=expanded, help="The CSV file to write.")],
    reviewer: Annotated[
        str | None,
        typer.Option(help="Code of the reviewer: what they have to read, as second reader too."),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="The crops of this batch alone.")] = None,
    store: StoreOption = None,
) -> None:
    """Write the work-list as a table to fill in: crop_id, predicted, label, reviewer, note.

    Crops of the audit have no prediction, so that their labels are independent of it. Notes are
    for people; they are not stored.
    """
    from pipeline.learn.decisions import checked_reviewer
    from pipeline.learn.review_table import write_review_table

    settings = settings_of(store)
    code = checked_reviewer(reviewer) if reviewer else None
    crops = write_review_table(settings, out, code, batch)
    print(f"{crops} crops in {out}. Fill in labels, then: dental review import {out}")


@review_commands.command("import")
def import_table(
    file: TableArgument,
    reviewer: ReviewerOption = None,
    yes: YesOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a table of labels with the store, append what is new, then do as `train` does.

    Lines without a label decide nothing; withdraw, unsure and undo may stand in place of a label.
    Of a file that an annotation tool wrote after `dental export`, labels that differ count.
    Exit status 2: nothing was written, because labels would be withdrawn or many changed; see what
    it says, and give --yes.
    """
    _take(file, reviewer, yes, store, as_json)


@commands.command("feedback", rich_help_panel=LEARN)
def feedback(
    file: TableArgument,
    reviewer: ReviewerOption = None,
    yes: YesOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append a reviewer's labels, then do as `train` does: as `review import`."""
    _take(file, reviewer, yes, store, as_json)


def _take(file: Path, reviewer: str | None, yes: bool, store: str | None, as_json: bool) -> None:
    """Compare, append and train; the one way of a table into the store."""
    settings = start("a reviewer's labels into", store, as_json)
    from pipeline.learn.feedback import take_feedback
    from pipeline.report.print_lines import print_lines
    from pipeline.store.open_store import open_for_writing

    open_for_writing(settings)  # refuses a store that cannot be written, or of another key
    taken = take_feedback(settings, file, yes, reviewer)
    lines = taken.format_lines()
    if not taken.is_training_due:
        lines.append(
            f"Nothing was written: {taken.held}. If that is meant, give the table again with --yes."
            if taken.held
            else "No label in force has changed, so no head was trained. To train one: dental train"
        )
        show({"labels": taken}, as_json, lambda: print_lines(lines))
        raise typer.Exit(HELD if taken.held else 0)
    if not as_json:
        print_lines(lines)
    from flows.run_flow import exit_on_signal, open_with_server

    open_with_server(settings)
    exit_on_signal(lambda: "The labels are stored. No head was stored.", notices(as_json))
    from flows.train import train as flow

    finish(flow, as_json=as_json, more={"labels": taken})
