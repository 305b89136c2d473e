"""`dental explain`: which parts of a crop speak for and against the champion's prediction."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import LOOK, JsonOption, StoreOption, commands, expanded, settings_of
from pipeline.cli.output import show, write_private

if TYPE_CHECKING:
    from pipeline.report.explain_crop import CropExplanation


@commands.command("explain", rich_help_panel=LOOK)
def explain(
    crop_id: Annotated[
        str, typer.Argument(help="A crop, as the work-list names it; may be shortened.")
    ],
    scan: Annotated[
        Path | None, typer.Option(callback=expanded, help="Where its scan lies now.")
    ] = None,
    on_scan: Annotated[bool, typer.Option("--on-scan", help="Show the whole scan too.")] = False,
    out: Annotated[
        Path | None, typer.Option(callback=expanded, help="The PNG file to write.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what speaks for and against the champion's prediction for a crop, cell by cell."""
    from pipeline.errors import ConfigError, ScanRejected
    from pipeline.report.explain_crop import explain_crop, heat_map_png
    from pipeline.store import catalog
    from pipeline.store.short_ids import crop_id_of

    settings = settings_of(store)
    with catalog.open_store(settings.store) as con:
        crop_id = crop_id_of(con, crop_id)
    found = explain_crop(settings, crop_id)
    out = out or Path(f"{crop_id.replace(':', '-')}.png")
    try:
        picture = heat_map_png(settings, found, scan, on_scan)
    except ScanRejected as rejection:
        raise ConfigError(f"The scan of {crop_id} cannot be used: {rejection}.") from None
    write_private(out, picture, "--out")
    why = found.explanation
    values = {
        "crop_id": crop_id,
        **found.facts,
        "log_odds": why.difference,
        "log_odds_of_cells": why.cells.sum(),
        "log_odds_of_row": why.constant,
        "picture": out,
    }
    show(values, as_json, lambda: _print_explanation(found, out))


def _print_explanation(found: "CropExplanation", out: Path) -> None:
    why = found.explanation
    for name, value in found.facts.items():
        print(f"{name:<12} {value}")
    print(
        f"{'why':<12} log-odds of {found.finding} against {found.normal}: {why.difference:+.2f} = "
        f"cells {why.cells.sum():+.2f}, constant of this row {why.constant:+.2f}"
    )
    print(f"{'picture':<12} {out} (health data, readable by you alone)")
    print("For research, not for diagnosis.")
