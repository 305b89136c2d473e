"""`dental scans`: one row per scan, with what was found on it; file names on request."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import LOOK, CsvOption, JsonOption, StoreOption, commands, settings_of
from pipeline.cli.output import print_csv, show

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["batch", "scan_id", "status", "reason", "patient_key", "tooth", "predicted", "p"]
COLUMNS += ["flags", "crop_id"]


@commands.command("scans", rich_help_panel=LOOK)
def scans(
    batch: Annotated[str | None, typer.Option(help="Only the scans of this batch.")] = None,
    names: Annotated[
        bool, typer.Option("--names", help="With file names, from the private folder.")
    ] = False,
    store: StoreOption = None,
    csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """List every scan: status, patient, its likeliest abnormal place with tooth and p, flags.

    Keep a list with file names as you keep the scans: it ties the store to people.
    """
    from pipeline.store import catalog

    settings = settings_of(store)
    with catalog.open_store(settings.store) as con:
        found = catalog.query(con, "scans_overview", batch=batch)
    rows = found[COLUMNS]
    if names:
        from pipeline.ingest.private_folder import open_private_folder
        from pipeline.report.source_scan import delivered_names

        private = open_private_folder(settings.private_folder, may_create=False)
        rows.insert(0, "file", delivered_names(private, found))
    if csv:
        print_csv(rows.assign(flags=rows["flags"].map(" ".join)))
        return

    def print_text() -> None:
        from pipeline.cli.print_table import print_rows

        header = ["place" if name == "crop_id" else name for name in rows.columns]
        print_rows(header, _shortened(rows))

    show(rows, as_json, print_text)


def _shortened(rows: "pd.DataFrame") -> list[tuple]:
    """Rows to read: ids in as many digits as `dental why` and queries need."""
    short = rows.astype(object).where(rows.notna(), None)
    short["flags"] = rows["flags"].map(" ".join)
    for column in ("scan_id", "patient_key"):
        short[column] = [value and value[:8] for value in short[column]]
    short["crop_id"] = [value and value.partition(":")[2] for value in short["crop_id"]]
    return list(short.itertuples(index=False))
