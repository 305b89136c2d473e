"""`dental` and `python -m pipeline.cli`: every command there is."""

import sys

# Imported for the commands that they add, in the order in which `dental --help` lists them.
# isort: off
from pipeline.cli import run, check, worklist, scans, query, explain  # noqa: F401
from pipeline.cli import evaluate, models, status, learn, trunk, upkeep, phantoms  # noqa: F401

# isort: on
from pipeline.cli.app import commands
from pipeline.errors import PipelineError
from pipeline.progress import log_to_stderr


def app() -> None:
    """Entry point: errors raised on purpose are printed without a traceback."""
    log_to_stderr()
    try:
        commands()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped before anything was begun.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    app()
