"""`dental why`, `retry`, `undo`, `forget` and `doctor`: look after a store.

These commands answer a person, so they name delivered files where the answer is about files.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import (
    KEEP,
    LOOK,
    JsonOption,
    StoreOption,
    commands,
    expanded,
    load_settings,
    settings_of,
)
from pipeline.cli.output import console, show

if TYPE_CHECKING:
    from pipeline.store.open_store import OpenStore
    from pipeline.upkeep.find_traces import ErasureTarget
    from pipeline.upkeep.why import Attempt, FileHistory

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only show what would go.")]


def _open(store: str | None) -> "OpenStore":
    from pipeline.store.open_store import open_for_writing

    return open_for_writing(settings_of(store))


@commands.command("why", rich_help_panel=LOOK)
def why(
    file: Annotated[
        str,
        typer.Argument(
            callback=expanded,
            help="A file, wherever it lies; or a scan_id or crop_id, or its start.",
        ),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a file, why, and what to do."""
    from pipeline.upkeep.why import explain_file

    opened = _open(store)
    found = explain_file(opened, file)
    show(found, as_json, lambda: _print_history(file, found, opened))


def _print_history(file: str, found: "FileHistory", opened: "OpenStore") -> None:
    from pipeline.cli.print_table import print_rows

    print(f"{file}\n  scan_id  {found.scan_id or 'unknown: the file cannot be read'}")
    for line in found.notes:
        print(f"  {line}")
    for attempt in found.attempts:
        print(f"  {_format_attempt(attempt)}")
        if attempt.remedy:
            print(f"    to do: {attempt.remedy}")
    if found.crops:
        columns = (
            *("recipe", "region", "tooth", "label"),
            *("predicted", "p_abnormal", "flagged", "seen"),
        )
        print_rows(columns, [[crop[column] for column in columns] for crop in found.crops])
    if found.regions:
        columns = ("kind", "crop_id", "replaces", "source", "drawn_at", "withdrawn", "in_force")
        print_rows(columns, [[row[column] for column in columns] for row in found.regions])
    if found.messages:
        print(f"  {opened.private.root}/messages.log has of files of that name:")
        for line in found.messages:
            print(f"    {line}")


def _format_attempt(attempt: "Attempt") -> str:
    name = "" if attempt.same_file else f" as {attempt.name}"
    text = f"batch {attempt.batch}{name}, attempt {attempt.attempt}, part {attempt.part}: "
    text += attempt.status or "waiting"
    if attempt.reason:
        text += f", {attempt.reason}: {attempt.detail}"
    if attempt.duplicate_of:
        text += f" of a scan accepted in batch {attempt.duplicate_of}"
    if attempt.label_problems:
        text += f"; {attempt.label_problems} label lines could not be used"
    return text


@commands.command("doctor", rich_help_panel=KEEP)
def doctor(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Check the installation and the store; exit status 1 when something has failed."""
    from pipeline.upkeep.doctor import run_checks
    from pipeline.upkeep.findings import FAILED

    found = run_checks(load_settings(store))

    def print_text() -> None:
        from rich.table import Table

        table = Table("", "", "", "to do")
        for finding in found:
            table.add_row(finding.what, finding.state, finding.message, finding.to_do)
        console().print(table)

    show(found, as_json, print_text)
    if any(finding.state == FAILED for finding in found):
        raise typer.Exit(1)


@commands.command("retry", rich_help_panel=KEEP)
def retry(
    batch: Annotated[str | None, typer.Argument(help="A batch; without one: all.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List rejected files for another attempt, which the next run makes."""
    from pipeline.ingest.delivery_lists import DeliveryLists, batches
    from pipeline.upkeep.retry import retry

    opened = _open(store)
    values, lines = [], []
    for each in [batch] if batch else batches(opened.private):
        folder = DeliveryLists(opened.private, each).folder
        if not batch and not folder.is_dir():
            lines.append(f"{each}: its folder is gone, nothing can be tried again")
            continue
        tried = retry(opened, each)
        values.append(tried)
        lines.append(f"{each}: {tried.listed} rejected files listed again, {tried.gone} are gone")
        if tried.waiting:
            where = f"'{folder}' --name {each} --store '{opened.settings.store}'"
            lines.append(f"Next: dental run {where}")
    show(values, as_json, lambda: print("\n".join(lines)))


@commands.command("forget", rich_help_panel=KEEP)
def forget(
    patient: Annotated[
        str | None, typer.Option(help="A patient's id, as a table or DICOM gave it.")
    ] = None,
    scan: Annotated[
        str | None,
        typer.Option(
            callback=expanded, help="A scan: its file, or its scan_id or the start of it."
        ),
    ] = None,
    yes: Yes = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove every trace of a patient, or of one scan, and never take it again."""
    from pipeline.errors import ConfigError
    from pipeline.upkeep import find_traces, forget

    if (patient is None) == (scan is None):
        raise ConfigError("Name whom to forget: --patient ID, or --scan FILE or scan_id.")
    opened = _open(store)
    lines, values = [], {"changed": yes, "left": [], "delete": []}
    if begun := forget.unfinished(opened):
        lines.append("An earlier forgetting was interrupted; --yes finishes that first.")
        if yes:
            lines += find_traces.format_exports(begun)
            _forget(opened, begun, lines, values)
    if patient is not None:
        found = find_traces.find_patient(opened, patient)
    else:
        found = find_traces.find_scan(opened, _scan_id(opened, scan))
    values |= _summary_of(found)
    lines += find_traces.format_traces(found)
    if yes:
        _forget(opened, found, lines, values)
    else:
        lines.append("Nothing was changed. To forget them, add --yes")
    show(values, as_json, lambda: print("\n".join(lines)))
    if values["left"]:
        raise typer.Exit(1)


def _summary_of(found: "ErasureTarget") -> dict:
    return {
        "deliveries": len(found.places),
        "scans": sorted(found.scan_ids),
        "batches": found.batches,
        "rows": found.rows,
        "models": found.models,
        "exports": found.exports,
    }


def _forget(opened: "OpenStore", found: "ErasureTarget", lines: list[str], values: dict) -> None:
    """Forget, prove it, and add to `lines` and `values` what is left for people to do."""
    from pipeline.progress import progress
    from pipeline.upkeep import erase, find_traces, forget

    found = forget.forget(opened, found)
    files = erase.every_file(opened.store, opened.private)
    with progress("search", len(files)) as advance:
        left = erase.traces_left(files, found.traces, advance)
    result = "no trace is left." if not left else f"{len(left)} still hold a trace:"
    lines.append(
        f"Searched {len(files)} files of the store and its private folder, decoded: {result}"
    )
    lines += [f"  {path}" for path in left]
    values["left"] += map(str, left)
    lying = find_traces.still_in_inbox(opened, found)
    if lying:
        lines.append("Delete these files, which still lie where they were delivered:")
        lines += [f"  {path}" for path in lying]
        values["delete"] += lying


def _scan_id(opened: "OpenStore", given: str) -> str:
    """A scan_id, given itself, by its start or by a file."""
    from pipeline.errors import ConfigError
    from pipeline.ingest.batch_folder import content_at
    from pipeline.stages.read_scan import named_scan_id, scan_id_of
    from pipeline.store import catalog
    from pipeline.store.short_ids import find_scan_id

    if (data := content_at(given)) is not None:
        return scan_id_of(data)
    # A whole one may be forgotten before it ever comes.
    if scan_id := named_scan_id(given):
        return scan_id
    with catalog.open_store(opened.store) as con:
        scan_id = find_scan_id(con, given)
    if scan_id is None:
        raise ConfigError(
            f"{given} is no file and no scan_id (32 hex digits, or the start of one in the store); "
            "give either of them."
        )
    return scan_id


@commands.command("undo", rich_help_panel=KEEP)
def undo(
    batch: Annotated[str, typer.Argument(help="The batch to take back.")],
    yes: Yes = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back a batch that was delivered by mistake, with all that was made of it."""
    from pipeline.ingest.delivery_lists import DeliveryLists
    from pipeline.upkeep import undo

    opened = _open(store)
    found = undo.find(opened, batch)
    folder = DeliveryLists(opened.private, batch).folder
    others = sorted({other for other, _ in found.relisted})
    values = {
        "batch": batch,
        "changed": yes,
        "scans": found.scans,
        "files": len(found.files),
        "run_again": others,
        "models": found.models,
    }
    lines = [f"Batch {batch}: {found.scans} accepted scans, {len(found.files)} files of the store"]
    lines += [
        f"  batch {other} holds some of its scans too: run it again afterwards, to keep them"
        for other in others
    ]
    if found.models:
        lines.append("  models that may have learned from it, and stay: " + ", ".join(found.models))
    if yes:
        undo.undo(opened, batch)
        lines.append(f"Taken back. The delivered files are where they were, in {folder}")
    else:
        lines.append("Nothing was changed. To take it back, add --yes")
    show(values, as_json, lambda: print("\n".join(lines)))
