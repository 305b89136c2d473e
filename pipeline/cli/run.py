"""`dental run`, `nightly` and `serve`: from scans to features, now or by a schedule."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from pipeline.cli.app import RUN, JsonOption, StoreOption, commands, expanded, load_settings

if TYPE_CHECKING:
    from pipeline.config import Settings


@commands.command("run", rich_help_panel=RUN)
def run(
    folder: Annotated[
        str, typer.Argument(callback=expanded, help="The folder of scans, or s3://…")
    ],
    store: StoreOption = None,
    name: Annotated[str | None, typer.Option(help="The batch's name in the store.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a folder of scans to features, predictions and a report; run it again to resume.

    Exit status 0: done; 2: done, but too many scans were rejected; 1: not done.
    """
    # A folder's name may contain a patient's, so it goes to a terminal alone.
    what = f"batch {name}" if name else folder if sys.stdout.isatty() else "a batch"
    settings = start(f"{what} into", store, as_json)
    from pipeline.ingest.batch_folder import folder_at
    from pipeline.stages.plan import deliver, refuse_folder

    refuse_folder(folder_at(folder), settings)
    from flows.run_flow import exit_on_signal, open_with_server

    opened = open_with_server(settings)
    from pipeline.report.batch_summary import format_progress

    batch = deliver(folder_at(folder), name, opened)
    from flows.process_batch import process_batch

    exit_on_signal(lambda: format_progress(opened.settings, batch), notices(as_json))
    finish(process_batch, batch, as_json=as_json)


@commands.command("nightly", rich_help_panel=RUN)
def nightly(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Take what is new in the inbox and reviewers' labels, train when due, report what was done."""
    settings = start("the nightly run of", store, as_json)
    from flows import prefect_server
    from flows.run_flow import exit_on_signal
    from pipeline.cli.output import show
    from pipeline.errors import NightBusy
    from pipeline.jobs.on_failure import report_failure
    from pipeline.store.locks import night_lock
    from pipeline.store.open_store import open_for_writing

    with report_failure(settings):
        opened = open_for_writing(settings)
        try:
            with night_lock(opened.store):
                pass  # tried before anything slow begins; the flow takes it itself
        except NightBusy as busy:
            message = str(busy)
            show({"busy": message}, as_json, lambda: print(message))
            return
        prefect_server.use_server(opened)
        from flows.nightly import nightly as flow

        exit_on_signal(lambda: "What was done is kept.", notices(as_json))
        prefect_server.wait()
    finish(flow, as_json=as_json)


@commands.command("serve", rich_help_panel=RUN)
def serve(
    store: StoreOption = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Seconds, instead of the cron line; to try it out.")
    ] = None,
) -> None:
    """Run `nightly` by the setting `schedule` until stopped, with a server that other runs use."""
    settings = start("the schedule of nightly runs of", store, as_json=False)
    from flows import prefect_server
    from flows.run_flow import exit_on_signal
    from pipeline.store.open_store import open_for_writing

    opened = open_for_writing(settings)
    with prefect_server.run_server(opened) as url:
        from flows.serve import schedule_of
        from flows.serve import serve as serve_forever

        schedule = schedule_of(opened.settings, every)
        prefect_server.wait()
        when = f"every {every} s" if every else f"by {opened.settings.schedule!r}"
        print(f"Nightly runs come {when}; see {url.removesuffix('/api')}. Stop: Ctrl-C", flush=True)
        exit_on_signal(lambda: "No nightly run comes until it is served again.", sys.stdout)
        serve_forever(schedule, opened.settings)


def start(what: str, store: str | None, as_json: bool) -> "Settings":
    """Print the first line, before anything slow is imported, and return the settings."""
    address = store or load_settings(None).store
    print(f"Starting: {what} store {address}", file=notices(as_json), flush=True)
    from flows.run_flow import use_settings

    return use_settings(store)


def notices(as_json: bool) -> TextIO:
    """Where lines go that are no result: with JSON, standard output has nothing else."""
    return sys.stderr if as_json else sys.stdout


def finish(flow: Callable, *parameters: object, as_json: bool, more: dict | None = None) -> None:
    """Run the flow, print its outcome, with `more` values, and leave with its exit status."""
    from flows.run_flow import run_flow
    from pipeline.cli.output import show
    from pipeline.report.print_lines import print_lines

    def report(outcome) -> None:
        show({**(more or {}), **outcome.values}, as_json, lambda: print_lines(outcome.lines))

    raise typer.Exit(run_flow(flow, *parameters, report=report))
