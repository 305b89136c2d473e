"""What Prefect's pages show of a run besides its tasks: tags, a summary as log and as an artifact.

Prefect's database may be on another machine, so none of it has a path or anything of a patient.
"""

import logging
import re
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler

from pipeline.config import Settings


def tags_of(settings: Settings, *batch: str) -> set[str]:
    """The tags of a run: the last step of the store's address, and the batch if there is one."""
    store = settings.store.rstrip("/").rpartition("/")[2]
    return {f"store:{store}", *(f"batch:{name}" for name in batch)}


def publish(lines: Sequence[str]) -> None:
    """Show the lines in the log of the flow run that is active, if any, and as its artifact."""
    context = FlowRunContext.get()
    if context is None or not lines:
        return
    log = summary_log()
    for line in lines:
        log.info(line)
    # One key for all runs of a flow on a batch: Prefect shows them as its versions.
    batch = [each for each in context.parameters.values() if isinstance(each, str)]
    title = " ".join([context.flow.name, *batch])
    create_markdown_artifact(
        markdown="\n".join(f"- {line.strip()}" for line in lines),
        key=re.sub("[^a-z0-9]+", "-", title.lower()).strip("-"),
        description=f"Summary of {title}",
    )


def summary_log() -> logging.Logger:
    """A log that goes to Prefect's pages alone: a terminal has the summary already."""
    log = logging.getLogger("dental.summary")
    log.setLevel(logging.INFO)
    log.propagate = False
    if not log.handlers:
        log.addHandler(APILogHandler())
    return log
