"""Tables as an office opens them: the work-list, the scans and every crop, as CSV or Excel.

    worklist.csv scans.csv crops.csv    in UTF-8 with a byte order mark, which Excel needs for `ü`
    dental.xlsx                         a sheet for each

No cell is a formula. The work-list has empty columns `label`, `reviewer` and `note` to fill in, and
`dental review import` takes it. Predictions of audit crops are left out, as in the work-list.
"""

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.export.csv_cell import csv_cell
from pipeline.export.job import Export
from pipeline.export.rows import records
from pipeline.report.source_scan import delivered_names
from pipeline.store import catalog

MOST_ROWS = 1_048_575  # of an Excel sheet, below its header


def write_csv(export: Export) -> dict[str, int]:
    """Write a CSV file for every table; return their rows."""
    tables = _tables(export)
    for name, rows in tables.items():
        texts = [column for column in rows if rows[column].dtype.kind not in "biufM"]
        safe = {column: rows[column].astype(object).map(csv_cell) for column in texts}
        path = export.out / f"{name}.csv"
        rows.assign(**safe).to_csv(path, index=False, encoding="utf-8-sig")
    return {name: len(rows) for name, rows in tables.items()}


def write_xlsx(export: Export) -> dict[str, int]:
    """Write an Excel file with a sheet for every table; return their rows."""
    try:
        from openpyxl import Workbook
    except ImportError:
        raise ConfigError(
            "Excel files are written by openpyxl, which is not installed. Install it with: pip "
            'install "dental-pipeline[export]", or export csv.'
        ) from None
    book = Workbook(write_only=True)
    tables = _tables(export)
    for name, rows in tables.items():
        if len(rows) > MOST_ROWS:
            raise ConfigError(
                f"The table {name} has {len(rows)} rows, and a sheet of Excel {MOST_ROWS}. Export "
                "csv, or one batch alone: --batch NAME"
            )
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        sheet.append([_cell(sheet, column) for column in rows.columns])
        for row in records(rows):
            sheet.append([_cell(sheet, value) for value in row.values()])
    book.save(export.out / "dental.xlsx")
    return {name: len(rows) for name, rows in tables.items()}


def _cell(sheet, value):
    """A cell; a text is a text whatever it begins with, and characters that XML lacks are `?`."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("?", value))
    cell.data_type = "s"  # openpyxl makes a formula of what begins with =
    return cell


def _tables(export: Export) -> dict[str, pd.DataFrame]:
    crops = export.rows.for_reviewers.flat()
    with catalog.open_store(export.store) as con:
        given = {"double_read": export.settings.double_read}
        worklist = catalog.query(con, "worklist_lines", **given)
        scans = catalog.query(con, "scans_overview")
    worklist = worklist[worklist["crop_id"].isin(set(crops["crop_id"]))]
    if export.kept.label or export.kept.side:
        scans = scans[scans["scan_id"].isin(set(export.rows.scan_ids))]
    elif export.kept.batch:  # those that were rejected too
        scans = scans[scans["batch"].isin(set(crops["batch"]))]
    tables = {
        "worklist": _joined_flags(worklist).assign(label="", reviewer="", note=""),
        "scans": _joined_flags(scans.drop(columns=["part", "row"])),
        "crops": crops,
    }
    if export.files is not None:
        for name, rows in tables.items():
            # A scan may have been delivered under several names.
            names = (
                delivered_names(export.private, scans)
                if name == "scans"
                else rows["scan_id"].map(export.files)
            )
            rows.insert(0, "file", list(names))
    return tables


def _joined_flags(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(flags=rows["flags"].map(" ".join)).reset_index(drop=True)
