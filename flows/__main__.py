"""`python -m flows NAME …`: run a flow here and now, or serve the nightly one."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import psutil
import typer

from flows import prefect_server
from flows.prefect_environment import set_prefect_environment
from pipeline import config
from pipeline.errors import NightBusy, PipelineError
from pipeline.jobs.on_failure import report_failure
from pipeline.store.locks import night_lock
from pipeline.store.open_store import OpenStore, open_for_writing

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

StoreOption = Annotated[str | None, typer.Option(help="The store; default: setting `store`.")]


@app.command("process_batch")
def process_batch(
    folder: Annotated[str, typer.Argument(help="Where the scans lie: a folder, or s3://…")],
    store: StoreOption = None,
    name: Annotated[str | None, typer.Option(help="The batch's name in the store.")] = None,
) -> None:
    """Take a folder of scans to features, predictions and a report; run it again to resume."""
    opened = open_with_server(store)
    from pipeline.ingest.batch_folder import folder_at
    from pipeline.report.summary import format_progress
    from pipeline.stages.plan import deliver

    batch = deliver(folder_at(folder), name, opened)
    from flows.process_batch import process_batch as flow

    exit_on_signal(lambda: format_progress(opened.settings, batch))
    run_and_exit(flow, batch)


@app.command("train")
def train(store: StoreOption = None) -> None:
    """Train a head on what is stored and labelled; promote it unless it is worse."""
    open_with_server(store)
    from flows.train import train as flow

    exit_on_signal(lambda: "No head was stored.")
    run_and_exit(flow)


@app.command("feedback")
def feedback(
    file: Annotated[Path, typer.Argument(help="CSV with crop_id, label and reviewer.")],
    store: StoreOption = None,
) -> None:
    """Append a reviewer's labels, then do as `train` does; no scan is opened."""
    from pipeline.learn.feedback import take_feedback

    taken = take_feedback(open_with_server(store).settings, file)
    print("\n".join(taken.in_words()), flush=True)
    train(store)


@app.command("cross_validate")
def cross_validate(
    store: StoreOption = None,
    folds: Annotated[int, typer.Option(min=2, help="How many groups of patients.")] = 5,
) -> None:
    """Measure head and baselines on every labelled crop, by folds of patients; changes no model."""
    open_with_server(store)
    from flows.cross_validate import cross_validate as flow

    exit_on_signal(lambda: "Finished folds are kept.")
    run_and_exit(flow, folds)


@app.command("learn_trunk")
def learn_trunk(store: StoreOption = None) -> None:
    """Learn a trunk from what is stored, embed with it, promote it unless it is worse."""
    open_with_server(store)
    from flows.learn_trunk import learn_trunk as flow

    exit_on_signal(lambda: "Finished epochs are kept.")
    run_and_exit(flow)


@app.command("nightly")
def nightly(store: StoreOption = None) -> None:
    """Take what is new in the inbox, apply reviewers' labels, train when due, say what was done."""
    settings = settings_for(store)
    with report_failure(settings):
        opened = open_for_writing(settings)
        try:
            with night_lock(opened.store):
                pass  # asked before anything slow is begun; the flow takes it itself
        except NightBusy as busy:
            print(busy)
            return
        prefect_server.use_server(opened)
        from flows.nightly import nightly as flow

        exit_on_signal(lambda: "What was done is kept.")
        prefect_server.wait()
    run_and_exit(flow)


@app.command("serve")
def serve(
    store: StoreOption = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Seconds, instead of the cron line; to try it out.")
    ] = None,
) -> None:
    """Run `nightly` by the setting `schedule` until stopped, with a server that other runs use."""
    opened = open_for_writing(settings_for(store))
    with prefect_server.run_server(opened) as url:
        from flows.serve import schedule_of
        from flows.serve import serve as forever

        schedule = schedule_of(opened.settings, every)
        prefect_server.wait()
        when = f"every {every} s" if every else f"by {opened.settings.schedule!r}"
        print(f"Nightly runs come {when}; see {url.removesuffix('/api')}. Stop: Ctrl-C", flush=True)
        exit_on_signal(lambda: "The schedule rests until it is served again.")
        forever(schedule)


def settings_for(store: str | None) -> config.Settings:
    """Settings of this run. Flows read them again from the environment, wherever they run."""
    if store:
        os.environ["DENTAL_STORE"] = store
    settings = config.load()
    set_prefect_environment(settings)
    return settings


def open_with_server(store: str | None) -> OpenStore:
    """The store of this run, and a server that comes up while the flow is imported."""
    opened = open_for_writing(settings_for(store))
    prefect_server.use_server(opened)
    return opened


def exit_on_signal(done: Callable[[], str]) -> None:
    """On Ctrl-C or a polite kill: end the processes we started, say what is done, and leave.

    Nothing needs tidying, since parts appear whole and locks end with their owner. Prefect would
    tidy for over a minute, asking a server that the same Ctrl-C has ended.
    """

    def stop(number: int, frame) -> None:
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        # Not to standard error, which is held back while TensorFlow is imported.
        print(f"\nStopped. {done()} Run the same command again to go on from there.", flush=True)
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def run_and_exit(flow, *parameters) -> None:
    """Run the flow and leave with its exit status."""
    prefect_server.wait()
    # Private to Prefect 3.8, which has no other way to end its thread in order. Left running, it
    # holds on to what the flow knew, and DuckDB tells of 117 leaks on the terminal.
    from prefect._internal.concurrency.threads import wait_for_global_loop_exit

    state = flow(*parameters, return_state=True)
    wait_for_global_loop_exit(prefect_server.LAST_WORDS)
    raise typer.Exit(state.result() if state.is_completed() else 1)


def main() -> None:
    logging.basicConfig(format="%(message)s")
    logging.getLogger("dental").setLevel(logging.INFO)
    try:
        app()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped before anything was begun.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
