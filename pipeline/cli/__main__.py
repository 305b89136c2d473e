"""`dental` and `python -m pipeline.cli`: every command there is."""

import codecs
import gc
import os
import sys

# Imported for the commands that they add, in the order in which `dental --help` lists them.
# isort: off
from pipeline.cli import run, check, worklist, scans, query, explain, predict  # noqa: F401
from pipeline.cli import export, evaluate, models, status, learn, review, review_table  # noqa: F401
from pipeline.cli import trunk, upkeep, phantoms  # noqa: F401

# isort: on
from pipeline.cli.app import commands
from pipeline.errors import PipelineError
from pipeline.progress import log_to_stderr

GARBAGE_THRESHOLD = 50_000  # objects more than before, instead of 700, at which Python looks for it


def app() -> None:
    """Entry point: errors raised on purpose are printed without a traceback."""
    use_utf8()
    # Modules stay: looking for garbage among them takes a tenth of the time of importing them.
    gc.set_threshold(GARBAGE_THRESHOLD)
    # Nothing is drawn on a screen, and a backend that is not installed fails at import.
    os.environ["MPLBACKEND"] = "agg"
    log_to_stderr()
    try:
        commands()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped before anything was begun.", file=sys.stderr)
        sys.exit(130)


def use_utf8() -> None:
    """Start again in Python's UTF-8 mode under a locale of another encoding, such as C.

    There, file names and settings beyond ASCII cannot be opened, and results not printed.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    os.environ["PYTHONUTF8"] = "1"  # of the processes that this one starts
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    app()
