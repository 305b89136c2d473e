"""Between our errors and Prefect's database: what may name a file goes to the private messages."""

import sys
import traceback
from collections.abc import Callable

from prefect.states import Failed, State

from pipeline.errors import PipelineError
from pipeline.store.open_store import OpenStore


def run_without_leaks(body: Callable[[], int | State], opened: OpenStore) -> int | State:
    """Run a flow's body; an error becomes a Failed state whose words name nothing.

    Prefect stores the text and the traceback of what a flow raises. Ours go to the terminal and
    to messages.log instead.
    """
    try:
        return body()
    except PipelineError as error:
        print(error, file=sys.stderr)
        opened.private.log_message(str(error))
        kind = type(error).__name__
    except Exception as error:
        # Not foreseen, so a bug of ours: people get the words, the log gets the traceback.
        print(f"Unexpected {type(error).__name__}: {error}", file=sys.stderr)
        print(f"The details are in {opened.private.root}/messages.log.", file=sys.stderr)
        opened.private.log_message(traceback.format_exc())
        kind = type(error).__name__
    return Failed(message=f"{kind}; the words stand in the store's private messages")
