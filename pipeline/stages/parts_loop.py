"""The loop over parts, the one place where a stage's failure is caught."""

import traceback
from collections.abc import Callable, Iterable, Sequence

from pipeline.errors import StageFailed
from pipeline.ingest.private import Private

# What a scheduler gives: work on every number, and for each its result or its StageFailed.
PartMap = Callable[[str, Callable[[int], object], Sequence[int]], Iterable[object]]


def one_by_one(stage: str, work: Callable[[int], object], numbers: Sequence[int]) -> list[object]:
    """The map of a run without a scheduler: every part in turn, none stopped by another."""
    outcomes: list[object] = []
    for number in numbers:
        try:
            outcomes.append(work(number))
        except StageFailed as failure:
            outcomes.append(failure)
    return outcomes


def over_parts(
    stage: str,
    batch: str,
    work: Callable[[int], object],
    numbers: Sequence[int],
    map: PartMap,
    private: Private,
) -> list[StageFailed]:
    """Run `work` on every part through `map`; return the failures.

    Schedulers keep exception texts, so what went wrong is told to the private messages and
    StageFailed alone crosses over, without its cause.
    """

    def guarded(number: int) -> object:
        try:
            return work(number)
        except Exception as error:
            private.tell(
                f"stage {stage}, part {number} of {batch} failed: {error}\n"
                + traceback.format_exc()
            )
            may_pass = isinstance(error, OSError)
        raise StageFailed(stage, batch, number, may_pass)

    if not numbers:
        return []
    outcomes = map(stage, guarded, numbers)
    return [outcome for outcome in outcomes if isinstance(outcome, StageFailed)]
