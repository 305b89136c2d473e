"""`dental check`: what a run would make of a folder, before anything is taken."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import RUN, JsonOption, commands, expanded, load_settings
from pipeline.cli.output import show

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.stages.check_folder import FolderCheck

INCOMPLETE = 2


@commands.command("check", rich_help_panel=RUN)
def check(
    folder: Annotated[
        str, typer.Argument(callback=expanded, help="The folder of scans, or s3://…")
    ],
    names: Annotated[
        bool, typer.Option("--names", help="Print file names elsewhere than on a terminal, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a folder before it is taken: scans, labels, classes, patients. Writes nothing.

    Only headers and label files are read. Exit status 2: fewer than half of the lines of a label
    file match a scan.
    """
    settings = load_settings(None)
    from pipeline.ingest.batch_folder import folder_at
    from pipeline.report.print_lines import print_lines
    from pipeline.stages.check_folder import check_folder

    found = check_folder(folder_at(folder), settings)
    # Names of files may contain those of patients.
    with_names = names or sys.stdout.isatty()
    values = found.values(with_names)
    show(values, as_json, lambda: print_lines(_lines(found, settings, with_names)))
    if found.counts.unmatched_files:
        raise typer.Exit(INCOMPLETE)


def _lines(found: "FolderCheck", settings: "Settings", with_names: bool) -> list[str]:
    from pipeline.report.delivery_lines import format_check, format_delivery

    return [
        "A run would take, nothing is taken now:",
        *format_delivery(found.counts, settings),
        *format_check(found, with_names),
    ]
