"""The loop over the parts of a stage, and the one place where its failures are caught.

Work that any process can do is a `Work`; a plain function of a part number stays in this process.
"""

import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pipeline.errors import StageFailed
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.progress import Advance


class Work:
    """A stage's work on the parts of a batch, as a picklable value.

    Called with a part number and a function that takes the progress.
    """

    needs: ClassVar[str]  # a key of the setting `dask`: what a worker must have for it

    def __call__(self, number: int, advance: Advance) -> object:
        raise NotImplementedError

    def private_message(self, number: int, message: str) -> str | None:
        """The message of a failure as it may be sent; None when it was logged here."""
        return message


@dataclass(frozen=True)
class Attempt:
    """The outcome of one part: a result, or the message of what went wrong."""

    result: object = None
    failed: bool = False
    message: str | None = None  # None also when they are in the private messages already
    may_pass: bool = False
    advanced: int = 0  # progress that could not be reported at once


def attempt(work: Work | Callable[[int], object], number: int, advance: Advance) -> Attempt:
    """Do the work on one part; an exception becomes a message."""
    try:
        arguments = (number, advance) if isinstance(work, Work) else (number,)
        return Attempt(work(*arguments))
    except Exception as error:
        message = f"{error}\n{traceback.format_exc()}"
        if isinstance(work, Work):
            message = work.private_message(number, message)
        return Attempt(failed=True, message=message, may_pass=isinstance(error, OSError))


@dataclass(frozen=True)
class StageRun:
    """Work that fails with StageFailed only, since schedulers store the texts of exceptions."""

    stage: str
    batch: str
    work: Work | Callable[[int], object]
    private: PrivateFolder
    advance: Advance
    finished: Callable[[int], object] = lambda _: None  # is given the number of each finished part
    timed: Callable[[str], AbstractContextManager] = nullcontext  # surrounds the work on a part

    def __call__(self, number: int) -> object:
        """Process one part here and return its result; raises StageFailed."""
        return self.by(partial(attempt, self.work, advance=self.advance), number)

    def by(self, do: Callable[[int], Attempt], number: int) -> object:
        """The result of a part that `do` processes in any process; raises StageFailed."""
        with self.timed(self.stage):
            found = do(number)
        self.advance(found.advanced)
        if not found.failed:
            self.finished(number)
            return found.result
        if found.message is not None:
            self.private.log_message(
                f"stage {self.stage}, part {number} of {self.batch} failed: {found.message}"
            )
        raise StageFailed(self.stage, self.batch, number, found.may_pass)


# What a scheduler provides: it runs the work on every number and gives results or StageFailed.
# The numbers may come one at a time, each when its part is ready for the stage.
PartMap = Callable[[str, StageRun, Iterable[int]], Iterable[object]]


def one_by_one(stage: str, work: StageRun, numbers: Iterable[int]) -> list[object]:
    """The map without a scheduler: every part in turn, whatever became of the others."""
    outcomes: list[object] = []
    for number in numbers:
        try:
            outcomes.append(work(number))
        except StageFailed as failure:
            outcomes.append(failure)
    return outcomes


def run_over_parts(
    stage: str,
    batch: str,
    work: Work | Callable[[int], object],
    numbers: Iterable[int],
    map: PartMap,
    private: PrivateFolder,
) -> list[StageFailed]:
    """Run `work` on every part through `map`; return the failures."""
    if not numbers:
        return []
    outcomes = map(stage, StageRun(stage, batch, work, private, lambda _: None), numbers)
    return [outcome for outcome in outcomes if isinstance(outcome, StageFailed)]
