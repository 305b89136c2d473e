"""Run the command of the setting `on_failure`, with what happened on its standard input."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config import Settings
from pipeline.progress import log

SECONDS = 60


def run_failure_command(settings: Settings, message: str) -> None:
    """Run the command of the settings, if there is one; log its failure, no more."""
    if settings.on_failure is None:
        return
    try:
        # By the shell, since people give pipes; whoever writes the settings runs the pipeline.
        status = subprocess.run(
            settings.on_failure, shell=True, input=message.encode(), timeout=SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        log.error("The command of `on_failure` took longer than %d s and was ended.", SECONDS)
        return
    if status:
        log.error(
            "The command of `on_failure` ended with status %d; the alarm may not have arrived.",
            status,
        )


@contextmanager
def report_failure(settings: Settings) -> Iterator[None]:
    """Run the failure command when the block raises.

    It gets the class of the error alone, since the message may name a file.
    """
    try:
        yield
    except Exception as error:
        place = f"{settings.private_folder}/messages.log"
        run_failure_command(
            settings, f"The nightly run could not be done: {type(error).__name__}; see {place}\n"
        )
        raise
