"""What the checks of `dental doctor` find, and how one check runs without stopping the others."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.errors import PipelineError
from pipeline.store.open_store import OpenStore

OK, WARNING, FAILED = "ok", "warning", "failed"
RUN_AGAIN = "fix what the message names, then run dental doctor again"
REINSTALL = "install the versions of requirements.lock again"


class Finding(NamedTuple):
    """The result of one check, and what to do unless it is ok."""

    what: str
    state: str  # ok, warning or failed
    message: str
    to_do: str = ""


def run_all(checks: Iterable[tuple]) -> list[Finding]:
    """The findings of checks, each with its arguments, in their order."""
    return [finding for check in checks for finding in run(*check)]


def run(check: Callable[..., Iterator[Finding]], *arguments: OpenStore) -> Iterator[Finding]:
    """Run one check; when it raises, that is its finding."""
    what = check.__name__.replace("_", " ")
    try:
        yield from check(*arguments)
    except PipelineError as error:
        yield Finding(what, FAILED, str(error), RUN_AGAIN)
    # Whatever is broken here, the other checks still run.
    except Exception as error:
        yield Finding(what, FAILED, f"{type(error).__name__}: {error}", REINSTALL)
