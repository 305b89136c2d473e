"""`dental predict`: what the champion predicts for files, without storing anything."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import (
    LOOK,
    CsvOption,
    JsonOption,
    StoreOption,
    commands,
    expanded,
    settings_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.api.predict_files import FilePrediction, FilePredictor

INCOMPLETE = 2  # some files were rejected
SHOWN = ["region", "tooth_guess", "predicted", "p_abnormal", "flagged", "in_training"]


def _expand_all(paths: list[Path]) -> list[Path]:
    return [expanded(path) for path in paths]


@commands.command("predict", rich_help_panel=LOOK)
def predict(
    files: Annotated[list[Path], typer.Argument(callback=_expand_all, help="Files of scans.")],
    heatmap: Annotated[
        Path | None,
        typer.Option(callback=expanded, help="Draw the likeliest place of one file, as PNG."),
    ] = None,
    store: StoreOption = None,
    csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict files with the champion, place by place. Nothing is stored.

    A file that is no scan is listed with the reason, and the exit status is 2.
    """
    settings = settings_of(store)
    from pipeline.api.predict_files import FilePredictor
    from pipeline.errors import ConfigError

    if heatmap and len(files) > 1:
        raise ConfigError(f"{len(files)} files were named; --heatmap draws one. Name one file.")
    predictor, is_incomplete, values = FilePredictor(settings), False, []
    for number, (file, found) in enumerate(_predicted(predictor, files)):
        is_incomplete |= found.rejection is not None
        if as_json:
            values.append(_values(file, found))
        elif csv:
            _print_csv(_table(file, found, predictor), with_header=number == 0)
        else:
            _print_text(file, found)
        if heatmap:
            _write_heat_map(predictor, found, heatmap)
    if as_json:
        from pipeline.cli.output import show

        show(values, True, lambda: None)
    if is_incomplete:
        raise typer.Exit(INCOMPLETE)


def _predicted(
    predictor: "FilePredictor", files: list[Path]
) -> Iterator[tuple[Path, "FilePrediction"]]:
    from pipeline.progress import progress

    with progress("predict", len(files)) as advance:
        for file, found in zip(files, predictor.predict_all(files), strict=True):
            yield file, found
            advance(1)


def _values(file: Path, found: "FilePrediction") -> dict:
    rejection = found.rejection
    return {
        "file": file,
        "scan_id": found.scan_id,
        "status": "rejected" if rejection else "predicted",
        "reason": rejection and rejection.reason,
        "detail": rejection and rejection.message,
        "places": found.rows,
    }


def _table(file: Path, found: "FilePrediction", predictor: "FilePredictor") -> "pd.DataFrame":
    """The rows of one file, with the same columns for every file; one row for a rejected one."""
    import pandas as pd

    values = _values(file, found)
    del values["places"]
    rows = found.rows.reindex(columns=predictor.columns)
    if found.rejection is None:
        rows["quality_flags"] = rows["quality_flags"].map(" ".join)
    else:
        rows = pd.DataFrame([dict.fromkeys(predictor.columns)])
    for place, (name, value) in enumerate(values.items()):
        rows.insert(place, name, str(value) if name == "file" else value)
    return rows


def _print_csv(rows: "pd.DataFrame", with_header: bool) -> None:
    from pipeline.cli.output import print_csv

    print_csv(rows, with_header)


def _print_text(file: Path, found: "FilePrediction") -> None:
    from pipeline.cli.print_table import print_rows

    print(f"{file}  {found.scan_id or ''}".rstrip())
    if found.rejection:
        print(f"  rejected, {found.rejection.reason}: {found.rejection.message}\n")
        return
    flags = sorted({flag for each in found.rows["quality_flags"] for flag in each})
    if flags:
        print(f"  quality: {', '.join(flags)}")
    ordered = found.rows.sort_values("p_abnormal", ascending=False, kind="stable")
    shown = ordered[SHOWN].astype(object).where(ordered[SHOWN].notna(), None)
    print_rows(SHOWN, list(shown.itertuples(index=False)))
    print()


def _write_heat_map(predictor: "FilePredictor", found: "FilePrediction", out: Path) -> None:
    from pipeline.cli.output import write_private

    if found.rejection:
        return
    write_private(out, predictor.heat_map(found), "--heatmap")
    print(f"heat map  {out} (health data, readable by you alone)")
