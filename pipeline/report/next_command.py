"""The next command to type and the page to open, as a summary ends with them."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from pipeline.config import Settings


def next_command(command: str, settings: Settings) -> str:
    """`dental COMMAND` for the store of these settings."""
    default = Settings.model_fields["store"].default
    store = "" if settings.store == default else f" --store {shlex.quote(settings.store)}"
    return f"{_program()} {command}{store}"


def page_link(store: str, name: str) -> str | None:
    """The address of a page of the store for a browser; None for a store on S3."""
    return None if store.startswith("s3://") else Path(store, name).absolute().as_uri()


def _program() -> str:
    """`dental`, or the path by which it was called where it is not on the path."""
    called = sys.argv[0]
    is_path = os.path.basename(called) == "dental" and shutil.which("dental") is None
    return called if is_path else "dental"
