"""`dental` and `python -m pipeline.cli`: every command there is."""

import sys

# Imported for the commands that they add.
from pipeline.cli import (  # noqa: F401
    evaluate,
    explain,
    models,
    phantoms,
    query,
    status,
    trunk,
    upkeep,
)
from pipeline.cli.app import commands
from pipeline.errors import PipelineError


def app() -> None:
    """Entry point: errors raised on purpose are told in their own words."""
    try:
        commands()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    app()
