"""Looking after a store: forgetting, taking back, trying again, and asking what became of a file.

These commands answer a person, so they name delivered files where the answer is about files.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.commands import StoreOption, commands, settings_of
from pipeline.errors import ConfigError
from pipeline.stages.opening import Opened, open_for_writing

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only say what would go.")]


@commands.command("forget")
def forget(
    patient: Annotated[
        str | None, typer.Option(help="A patient's id, as a table or DICOM gave it.")
    ] = None,
    scan: Annotated[str | None, typer.Option(help="A scan: its file, or its scan_id.")] = None,
    yes: Yes = False,
    store: StoreOption = None,
) -> None:
    """Remove every trace of a patient, or of one scan, and never take it again."""
    from pipeline.stages import belongings, forget

    if (patient is None) == (scan is None):
        raise ConfigError("Name whom to forget: --patient ID, or --scan FILE or scan_id.")
    opened = open_for_writing(settings_of(store))
    if begun := forget.unfinished(opened):
        print("An earlier forgetting was interrupted; --yes finishes that first.")
        if yes:
            _forgotten(opened, forget.forget(opened, begun))
    if patient is not None:
        found = belongings.find_patient(opened, patient)
    else:
        found = belongings.find_scan(opened, _scan_id(scan))
    for line in belongings.in_words(found):
        print(line)
    if yes:
        _forgotten(opened, forget.forget(opened, found))
    else:
        print("Nothing was changed. To forget them, add --yes")


def _forgotten(opened: Opened, found) -> None:
    """Prove it, and say what is left for people to do."""
    from pipeline.stages import belongings, erasure
    from pipeline.stages.progress import progress

    files = erasure.every_file(opened.store, opened.private)
    with progress("search", len(files)) as advance:
        left = erasure.traces_left(files, found.traces, advance)
    print(f"Searched {len(files)} files of the store and its private folder, decoded: ", end="")
    print("no trace is left." if not left else f"{len(left)} still hold a trace:")
    for path in left:
        print(f"  {path}")
    lying = belongings.still_in_inbox(opened, found)
    if lying:
        print("Delete these files, which still lie where they were delivered:")
    for path in lying:
        print(f"  {path}")
    if left:
        raise typer.Exit(1)


def _scan_id(said: str) -> str:
    """A scan_id, given itself or by a file."""
    from pipeline.stages.reading import scan_id_of

    if Path(said).is_file():
        return scan_id_of(Path(said).read_bytes())
    scan_id = said.partition(":")[0]  # a crop_id is scan_id:region
    if len(scan_id) != 32 or set(scan_id) - set("0123456789abcdef"):
        raise ConfigError(f"{said} is no file and no scan_id (32 hex digits); give either of them.")
    return scan_id
