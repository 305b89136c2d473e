"""Looking after a store: forgetting, taking back, trying again, and asking what became of a file.

These commands answer a person, so they name delivered files where the answer is about files.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.cli.app import StoreOption, commands, settings_of
from pipeline.cli.print_table import print_rows
from pipeline.errors import ConfigError
from pipeline.store.open_store import OpenStore, open_for_writing

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only say what would go.")]


@commands.command("why")
def explain_file(
    file: Annotated[str, typer.Argument(help="A file, wherever it lies; or a scan_id or crop_id.")],
    store: StoreOption = None,
) -> None:
    """Tell what became of a file, why, and what to do."""
    from pipeline.upkeep.why import explain_file

    opened = open_for_writing(settings_of(store))
    answer = explain_file(opened, file)
    print(f"{file}\n  scan_id  {answer.scan_id or 'unknown: the file cannot be read'}")
    for line in answer.notes:
        print(f"  {line}")
    for attempt in answer.attempts:
        print(f"  {_in_words(attempt)}")
        if attempt.remedy:
            print(f"    to do: {attempt.remedy}")
    if answer.crops:
        _print_crops(answer.crops)
    if answer.messages:
        print(f"  {opened.private.root}/messages.log says of files of that name:")
    for line in answer.messages:
        print(f"    {line}")


def _in_words(attempt) -> str:
    name = "" if attempt.same_file else f" as {attempt.name}"
    words = f"batch {attempt.batch}{name}, attempt {attempt.attempt}, part {attempt.part}: "
    words += attempt.status or "waiting"
    if attempt.reason:
        words += f", {attempt.reason}: {attempt.detail}"
    if attempt.duplicate_of:
        words += f" of a scan accepted in batch {attempt.duplicate_of}"
    if attempt.label_problems:
        words += f"; {attempt.label_problems} label lines could not be used"
    return words


def _print_crops(crops: list[dict]) -> None:
    columns = ("recipe", "region", "tooth", "label", "predicted", "p_abnormal", "flagged", "seen")
    print_rows(columns, [[crop[column] for column in columns] for crop in crops])


@commands.command("retry")
def retry(
    batch: Annotated[str | None, typer.Argument(help="A batch; without one: all.")] = None,
    store: StoreOption = None,
) -> None:
    """List rejected files for another attempt, which the next run makes."""
    from pipeline.ingest.delivery_lists import DeliveryLists, batches
    from pipeline.upkeep.retry import retry

    opened = open_for_writing(settings_of(store))
    for each in [batch] if batch else batches(opened.private):
        folder = DeliveryLists(opened.private, each).folder
        if not batch and not folder.is_dir():
            print(f"{each}: its folder is gone, nothing can be tried again")
            continue
        tried = retry(opened, each)
        print(f"{each}: {tried.listed} rejected files listed again, {tried.gone} are gone")
        if tried.waiting:
            where = f"BATCH='{folder}' NAME={each} STORE='{opened.settings.store}'"
            print(f"Next: make run-flow {where}")


@commands.command("undo")
def undo(
    batch: Annotated[str, typer.Argument(help="The batch to take back.")],
    yes: Yes = False,
    store: StoreOption = None,
) -> None:
    """Take back a batch that was delivered by mistake, with all that was made of it."""
    from pipeline.ingest.delivery_lists import DeliveryLists
    from pipeline.upkeep import undo

    opened = open_for_writing(settings_of(store))
    found = undo.find(opened, batch)
    folder = DeliveryLists(opened.private, batch).folder
    print(f"Batch {batch}: {found.scans} accepted scans, {len(found.files)} files of the store")
    for other in sorted({other for other, _ in found.relisted}):
        print(f"  batch {other} holds some of its scans too: run it again afterwards, to keep them")
    if found.models:
        print("  models that may have learned from it, and stay: " + ", ".join(found.models))
    if not yes:
        print("Nothing was changed. To take it back, add --yes")
        return
    undo.undo(opened, batch)
    print(f"Taken back. The delivered files are where they were, in {folder}")


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
    from pipeline.upkeep import find_traces, forget

    if (patient is None) == (scan is None):
        raise ConfigError("Name whom to forget: --patient ID, or --scan FILE or scan_id.")
    opened = open_for_writing(settings_of(store))
    if begun := forget.unfinished(opened):
        print("An earlier forgetting was interrupted; --yes finishes that first.")
        if yes:
            _forgotten(opened, forget.forget(opened, begun))
    if patient is not None:
        found = find_traces.find_patient(opened, patient)
    else:
        found = find_traces.find_scan(opened, _scan_id(scan))
    for line in find_traces.format_traces(found):
        print(line)
    if yes:
        _forgotten(opened, forget.forget(opened, found))
    else:
        print("Nothing was changed. To forget them, add --yes")


def _forgotten(opened: OpenStore, found) -> None:
    """Prove it, and say what is left for people to do."""
    from pipeline.progress import progress
    from pipeline.upkeep import erase, find_traces

    files = erase.every_file(opened.store, opened.private)
    with progress("search", len(files)) as advance:
        left = erase.traces_left(files, found.traces, advance)
    print(f"Searched {len(files)} files of the store and its private folder, decoded: ", end="")
    print("no trace is left." if not left else f"{len(left)} still hold a trace:")
    for path in left:
        print(f"  {path}")
    lying = find_traces.still_in_inbox(opened, found)
    if lying:
        print("Delete these files, which still lie where they were delivered:")
    for path in lying:
        print(f"  {path}")
    if left:
        raise typer.Exit(1)


def _scan_id(said: str) -> str:
    """A scan_id, given itself or by a file."""
    from pipeline.ingest.batch_folder import content_at
    from pipeline.stages.read_scan import named_scan_id, scan_id_of

    if (data := content_at(said)) is not None:
        return scan_id_of(data)
    scan_id = named_scan_id(said)
    if scan_id is None:
        raise ConfigError(f"{said} is no file and no scan_id (32 hex digits); give either of them.")
    return scan_id


@commands.command("doctor")
def doctor(store: StoreOption = None) -> None:
    """Check the installation and the store; exit status 1 when something has failed."""
    from pipeline import config
    from pipeline.upkeep.doctor import FAILED, run_checks

    settings = config.load(**({"store": store} if store else {}))
    table, failed = Table("", "", "", "to do"), 0
    for finding in run_checks(settings):
        failed += finding.state == FAILED
        table.add_row(finding.what, finding.state, finding.message, finding.to_do)
    Console().print(table)
    if failed:
        raise typer.Exit(1)
