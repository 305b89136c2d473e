"""The loop over parts, the one place where a stage's failure is caught.

Work that any process can do is a `Work`; a plain function of a part's number stays in this process.
"""

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.errors import StageFailed
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.progress import Advance


class Work:
    """A stage's work on the parts of a batch, made of values alone, so that it may travel.

    Called with a part's number and a function to be told of progress.
    """

    needs: ClassVar[str]  # what a worker must have for it: the delivery, a GPU where there are any

    def __call__(self, number: int, advance: Advance) -> object:
        raise NotImplementedError

    def private_message(self, number: int, words: str) -> str | None:
        """Words on a failure as they may travel; None when they were told here already."""
        return words


@dataclass(frozen=True)
class Attempt:
    """What came of one part: a result, or words on what went wrong."""

    result: object = None
    failed: bool = False
    words: str | None = None  # None as well when they stand in the private messages already
    may_pass: bool = False
    advanced: int = 0  # where progress could not be told at once


def attempt(work: Work | Callable[[int], object], number: int, advance: Advance) -> Attempt:
    """Do the work on one part; an exception becomes words, wherever this runs."""
    try:
        arguments = (number, advance) if isinstance(work, Work) else (number,)
        return Attempt(work(*arguments))
    except Exception as error:
        words = f"{error}\n{traceback.format_exc()}"
        if isinstance(work, Work):
            words = work.private_message(number, words)
        return Attempt(failed=True, words=words, may_pass=isinstance(error, OSError))


@dataclass(frozen=True)
class StageRun:
    """Work whose failures cross over as StageFailed alone: schedulers keep exception texts."""

    stage: str
    batch: str
    work: Work | Callable[[int], object]
    private: PrivateFolder
    advance: Advance

    def __call__(self, number: int) -> object:
        """The result of one part, worked on here; raises StageFailed."""
        return self.outcome(number, attempt(self.work, number, self.advance))

    def outcome(self, number: int, found: Attempt) -> object:
        """The result of an attempt, wherever it was made; raises StageFailed."""
        self.advance(found.advanced)
        if not found.failed:
            return found.result
        if found.words is not None:
            self.private.log_message(
                f"stage {self.stage}, part {number} of {self.batch} failed: {found.words}"
            )
        raise StageFailed(self.stage, self.batch, number, found.may_pass)


# What a scheduler gives: work on every number, and for each its result or its StageFailed.
PartMap = Callable[[str, StageRun, Sequence[int]], Iterable[object]]


def one_by_one(stage: str, work: StageRun, numbers: Sequence[int]) -> list[object]:
    """The map of a run without a scheduler: every part in turn, none stopped by another."""
    outcomes: list[object] = []
    for number in numbers:
        try:
            outcomes.append(work(number))
        except StageFailed as failure:
            outcomes.append(failure)
    return outcomes


def outcomes_of(map: PartMap, work: StageRun, numbers: Sequence[int]) -> list[object]:
    """For every part, in the numbers' order, its result or its StageFailed."""
    return list(map(work.stage, work, numbers)) if numbers else []


def run_over_parts(
    stage: str,
    batch: str,
    work: Work | Callable[[int], object],
    numbers: Sequence[int],
    map: PartMap,
    private: PrivateFolder,
) -> list[StageFailed]:
    """Run `work` on every part through `map`; return the failures."""
    outcomes = outcomes_of(map, StageRun(stage, batch, work, private, lambda _: None), numbers)
    return [outcome for outcome in outcomes if isinstance(outcome, StageFailed)]
