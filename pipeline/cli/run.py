"""`dental run`, `nightly` and `serve`: from scans to features, now or by a schedule."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from pipeline.cli.app import RUN, JsonOption, StoreOption, commands, expanded, load_settings

if TYPE_CHECKING:
    from flows.outcome import Outcome
    from pipeline.config import Settings
    from pipeline.store.open_store import OpenStore


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
    from flows.outcome import batch_outcome
    from flows.run_flow import exit_on_signal
    from pipeline.jobs.find_work import find_batch_work
    from pipeline.report.batch_summary import format_progress
    from pipeline.store.open_store import open_for_writing

    opened = open_for_writing(settings)
    batch = deliver(folder_at(folder), name, opened)
    try:
        summary = find_batch_work(opened, batch)
    except Exception as found:  # an error too: the run meets it again, and reports it by its rules
        flow = get_ready(opened, "process_batch", found)
    else:
        leave(batch_outcome(summary, settings), as_json)
    exit_on_signal(lambda: format_progress(opened.settings, batch), notices(as_json))
    finish(flow, batch, as_json=as_json)


@commands.command("nightly", rich_help_panel=RUN)
def nightly(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Take what is new in the inbox and reviewers' labels, train when due, report what was done."""
    settings = start("the nightly run of", store, as_json)
    from flows import prefect_server
    from flows.outcome import Outcome, night_outcome
    from flows.run_flow import exit_on_signal
    from pipeline.errors import NightBusy
    from pipeline.jobs.find_work import find_night_work
    from pipeline.jobs.on_failure import report_failure
    from pipeline.store.open_store import open_for_writing

    outcome = None
    with report_failure(settings):
        opened = open_for_writing(settings)
        try:
            outcome = night_outcome(find_night_work(opened), settings)
        except NightBusy as busy:
            outcome = Outcome([str(busy)], {"busy": str(busy)})
        except Exception as found:  # an error too: the night meets it again
            flow = get_ready(opened, "nightly", found)
            exit_on_signal(lambda: "What was done is kept.", notices(as_json))
            prefect_server.wait()
    if outcome:
        leave(outcome, as_json)
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


def get_ready(opened: "OpenStore", name: str, found: Exception) -> Callable:
    """The flow `name`, imported while its server starts; so is Keras, if crops will be embedded.

    `found` is what looking for work raised.
    """
    from flows import prefect_server
    from pipeline.jobs.find_work import WorkFound

    # The server takes 4.5 s of CPU to start. On the other core that is enough for the rest.
    prefect_server.use_server(opened)
    flow = getattr(import_module(f"flows.{name}"), name)
    if isinstance(found, WorkFound) and found.embeds and opened.settings.runner == "threads":
        from pipeline.jobs.resources import load_embedder

        load_embedder(opened)
    return flow


def leave(outcome: "Outcome", as_json: bool) -> NoReturn:
    """Print an outcome that took no flow, and leave with its exit status."""
    report_to_terminal(as_json)(outcome)
    raise typer.Exit(outcome.status)


def report_to_terminal(as_json: bool, more: dict | None = None) -> Callable[["Outcome"], None]:
    """What prints an outcome, with `more` values in JSON."""
    from pipeline.cli.output import show
    from pipeline.report.print_lines import print_lines

    def report(outcome: "Outcome") -> None:
        show({**(more or {}), **outcome.values}, as_json, lambda: print_lines(outcome.lines))

    return report


def finish(flow: Callable, *parameters: object, as_json: bool, more: dict | None = None) -> None:
    """Run the flow, print its outcome, with `more` values, and leave with its exit status."""
    from flows.run_flow import run_flow

    raise typer.Exit(run_flow(flow, *parameters, report=report_to_terminal(as_json, more)))
