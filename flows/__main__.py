"""`python -m flows NAME …`: run a flow here and now, without a standing server."""

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

from flows.environment import prepare
from pipeline import config
from pipeline.errors import PipelineError
from pipeline.stages.feedback import take_feedback
from pipeline.stages.opening import open_for_writing
from pipeline.stages.plan import deliver
from pipeline.stages.summary import progress_in_words

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

StoreOption = Annotated[str | None, typer.Option(help="The store; default: setting `store`.")]


@app.command("process_batch")
def process_batch(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the scans.")],
    store: StoreOption = None,
    name: Annotated[str | None, typer.Option(help="The batch's name in the store.")] = None,
) -> None:
    """Take a folder of scans to features, predictions and a report; run it again to resume."""
    settings = settings_for(store)
    batch = deliver(folder, name, open_for_writing(settings))
    from flows.process_batch import process_batch as flow

    stop_in_words(lambda: progress_in_words(settings, batch))
    finish(flow(batch, return_state=True))


@app.command("train")
def train(store: StoreOption = None) -> None:
    """Train a head on what is stored and labelled; promote it unless it is worse."""
    settings_for(store)
    from flows.train import train as flow

    stop_in_words(lambda: "No head was stored.")
    finish(flow(return_state=True))


@app.command("feedback")
def feedback(
    file: Annotated[Path, typer.Argument(help="CSV with crop_id, label and reviewer.")],
    store: StoreOption = None,
) -> None:
    """Append a reviewer's labels, then do as `train` does; no scan is opened."""
    settings = settings_for(store)
    taken = take_feedback(open_for_writing(settings).settings, file)
    print("\n".join(taken.in_words()), flush=True)
    train(store)


@app.command("cross_validate")
def cross_validate(
    store: StoreOption = None,
    folds: Annotated[int, typer.Option(min=2, help="How many groups of patients.")] = 5,
) -> None:
    """Measure head and baselines on every labelled crop, by folds of patients; changes no model."""
    settings_for(store)
    from flows.cross_validate import cross_validate as flow

    stop_in_words(lambda: "Finished folds are kept.")
    finish(flow(folds, return_state=True))


@app.command("learn_trunk")
def learn_trunk(store: StoreOption = None) -> None:
    """Learn a trunk from what is stored, embed with it, promote it unless it is worse."""
    settings_for(store)
    from flows.learn_trunk import learn_trunk as flow

    stop_in_words(lambda: "Finished epochs are kept.")
    finish(flow(return_state=True))


def settings_for(store: str | None) -> config.Settings:
    """Settings of this run. Flows read them again from the environment, wherever they run."""
    if store:
        os.environ["DENTAL_STORE"] = store
    settings = config.load()
    prepare(settings)
    return settings


def stop_in_words(done: Callable[[], str]) -> None:
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


def finish(state) -> None:
    """Leave with the flow's exit status."""
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
