"""Why the champion said what it said."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import StoreOption, commands, settings_of
from pipeline.errors import ConfigError, ScanRejected


@commands.command("explain")
def explain(
    crop_id: Annotated[str, typer.Argument(help="A crop, as the work-list names it.")],
    scan: Annotated[Path | None, typer.Option(help="Where its scan lies now.")] = None,
    on_scan: Annotated[bool, typer.Option("--on-scan", help="Show the whole scan too.")] = False,
    out: Annotated[Path | None, typer.Option(help="The PNG file to write.")] = None,
    store: StoreOption = None,
) -> None:
    """Draw what speaks for and against the champion's verdict on a crop, cell by cell."""
    from pipeline.report.explain_crop import explain_crop, heat_map_png

    settings = settings_of(store)
    found = explain_crop(settings, crop_id)
    out = out or Path(f"{crop_id.replace(':', '-')}.png")
    try:
        picture = heat_map_png(settings, found, scan, on_scan)
    except ScanRejected as rejection:
        raise ConfigError(f"The scan of {crop_id} cannot be used: {rejection}.") from None
    for name, value in found.facts.items():
        print(f"{name:<12} {value}")
    print(
        f"{'why':<12} log-odds of {found.finding} against {found.normal}: "
        f"{found.explanation.difference:+.2f} = cells {found.explanation.cells.sum():+.2f}, "
        f"constant of this row {found.explanation.constant:+.2f}"
    )
    _write(out, picture)
    print(f"{'picture':<12} {out} (health data, readable by you alone)")
    print("For research, not for diagnosis.")


def _write(out: Path, data: bytes) -> None:
    try:
        with open(out, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written ({error.strerror}); name another file: --out"
        ) from None
