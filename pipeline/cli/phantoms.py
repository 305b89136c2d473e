"""`dental phantoms`: synthetic radiographs."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import KEEP, commands, expanded, load_settings


@commands.command("phantoms", rich_help_panel=KEEP)
def phantoms(
    out: Annotated[
        Path, typer.Argument(callback=expanded, help="A folder to make; must be missing or empty.")
    ],
    scans: Annotated[int, typer.Option(min=1, help="How many scans to draw.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other mouths.")] = 0,
    height: Annotated[
        int, typer.Option(min=100, help="Height of a panoramic in pixels; scales all.")
    ] = 1400,
) -> None:
    """Draw synthetic radiographs with planted anomalies: for demonstration, tests and load only."""
    from pipeline.phantoms import write_batch
    from pipeline.progress import progress

    workers = load_settings(None).workers
    with progress("draw", scans) as advance:
        summary = write_batch(
            out, scans, seed, height=height, workers=workers, progress=lambda _: advance(1)
        )
    print(
        f"{summary.scans} phantoms of {summary.patients} invented patients in {out}: "
        f"{_counted(summary.kinds)}; as {_counted(summary.formats)}; "
        f"planted {_counted(summary.planted)}."
    )
    print("Synthetic, for demonstration, tests and load: no real teeth, no evidence of anything.")
    print(f"Next: dental run {out}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
