"""The body that every flow shares: load settings, open the store, work, report, exit status.

Prefect stores a flow's parameters, and the text and traceback of what it raises; ours may name
files. So flows take batch names only, errors become a Failed state that names nothing, and the
result is handed over within the process: what a flow returns is its exit status.
"""

import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

from prefect import flow
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.outcome import Outcome
from flows.prefect_pages import publish
from pipeline import config
from pipeline.config import Settings
from pipeline.errors import PipelineError
from pipeline.report.print_lines import print_lines
from pipeline.store.open_store import OpenStore, open_for_writing


def print_outcome(outcome: Outcome) -> None:
    """Print the lines for people."""
    print_lines(outcome.lines)


# What receives the outcome; a scheduled run is a process of its own and keeps the default.
report_outcome: ContextVar[Callable[[Outcome], None]] = ContextVar(
    "report_outcome", default=print_outcome
)


def pipeline_flow(
    name: str, run_name: str | Callable[[], str] | None = None
) -> Callable[[Callable], Callable]:
    """A Prefect flow whose parts run one at a time; `run_name` may have its parameters in braces.

    Inside a part decoding and embedding use every core already, and parts that commit in order make
    the same bytes in every run.
    """
    one_at_a_time = ThreadPoolTaskRunner(max_workers=1)
    return flow(name=name, flow_run_name=run_name, task_runner=one_at_a_time, persist_result=False)


def run_body(
    work: Callable[[OpenStore], Outcome],
    opening: Callable[[Settings], AbstractContextManager] = lambda _: nullcontext(),
) -> int | State:
    """Run a flow's work on the store of the settings; return the exit status or a Failed state.

    `opening` surrounds the opening of the store, whose errors are raised.
    """
    settings = config.load()
    with opening(settings):
        opened = open_for_writing(settings)
    try:
        outcome = work(opened)
    except Exception as error:
        _report_error(error, opened)
        public = error.public if isinstance(error, PipelineError) else None
        reason = f"{type(error).__name__}: {public}" if public else type(error).__name__
        return Failed(message=f"{reason}; see messages.log of the private folder")
    report_outcome.get()(outcome)
    publish(outcome.public_lines)
    return Failed(message=outcome.failure) if outcome.failure else outcome.status


def _report_error(error: Exception, opened: OpenStore) -> None:
    """Print an error to the terminal and log it in the private folder."""
    if isinstance(error, PipelineError):
        print(error, file=sys.stderr)
        opened.private.log_message(str(error))
        return
    # Not raised on purpose, so a bug of ours: people get the message, the log gets the traceback.
    print(f"Unexpected {type(error).__name__}: {error}", file=sys.stderr)
    print(f"The details are in {opened.private.root}/messages.log.", file=sys.stderr)
    opened.private.log_message(traceback.format_exc())
