"""The next command to type, as a summary ends with it."""

import os
import shlex
import shutil
import sys

from pipeline.config import Settings


def next_command(command: str, settings: Settings) -> str:
    """`dental COMMAND` for the store of these settings."""
    default = Settings.model_fields["store"].default
    store = "" if settings.store == default else f" --store {shlex.quote(settings.store)}"
    return f"{_program()} {command}{store}"


def _program() -> str:
    """`dental`, or the path by which it was called where it is not on the path."""
    called = sys.argv[0]
    is_path = os.path.basename(called) == "dental" and shutil.which("dental") is None
    return called if is_path else "dental"
