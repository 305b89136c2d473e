"""Run a flow here and now: a Prefect server for it, Ctrl-C, its outcome and its exit status."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import TextIO

import psutil

from flows import prefect_server
from flows.prefect_environment import set_environment
from pipeline import config
from pipeline.store.open_store import OpenStore, open_for_writing


def use_settings(store: str | None) -> config.Settings:
    """Settings of this run. Flows read them again from the environment, wherever they run."""
    if store:
        os.environ["DENTAL_STORE"] = store
    settings = config.load()
    set_environment(settings)
    return settings


def open_with_server(settings: config.Settings) -> OpenStore:
    """The store of this run, and a server that comes up while the flow is imported."""
    opened = open_for_writing(settings)
    prefect_server.use_server(opened)
    return opened


def exit_on_signal(done: Callable[[], str], output: TextIO) -> None:
    """On Ctrl-C or SIGTERM: end the processes we started, print what is done to `output`, leave.

    Nothing needs tidying, since parts appear whole and locks end with their owner. Prefect would
    tidy for over a minute, asking a server that the same Ctrl-C has ended.
    """

    def stop(number: int, frame) -> None:
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        print(
            f"\nStopped. {done()} Run the same command again to continue.", file=output, flush=True
        )
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def run_flow(flow, *parameters, report: Callable) -> int:
    """Run the flow, give its `Outcome` to `report`, and return its exit status."""
    from prefect import tags

    from flows.flow_body import report_outcome
    from flows.prefect_pages import tags_of

    prefect_server.wait()
    # Private to Prefect 3.8, which has no other way to end its thread in order. Left running, it
    # holds on to what the flow knew, and DuckDB reports 117 leaks on the terminal.
    from prefect._internal.concurrency.threads import wait_for_global_loop_exit

    before = report_outcome.set(report)
    try:
        batches = [each for each in parameters if isinstance(each, str)]
        with tags(*tags_of(config.load(), *batches)):
            state = flow(*parameters, return_state=True)
    finally:
        report_outcome.reset(before)
    wait_for_global_loop_exit(prefect_server.SHUTDOWN_SECONDS)
    return state.result() if state.is_completed() else 1
