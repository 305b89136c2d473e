"""Two ways of doing the same work, taking turns, and how they compare.

Noise that lasts longer than a pair hits both sides of it, so the ratio is taken pair by pair and
its median counts.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The values of some repeats."""

    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        return median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class Comparison:
    """One row of the table."""

    what: str
    unit: str
    ours: Spread
    against: str
    reference: Spread
    ratio: Spread
    bar: str
    met: bool


def clocked(work: Callable[[], object]) -> float:
    """How many seconds `work` takes."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rates(
    what: str,
    count: tuple[int, str],
    ours: Callable[[], float],
    reference: tuple[str, Callable[[], float]],
    bar: float,
    repeats: int,
) -> Comparison:
    """Compare things done per second; the median ratio should reach `bar`.

    `count` is how many things one repeat does, and their name. Both sides return the seconds of
    one repeat, so that each leaves its own preparation out.
    """
    number, things = count
    against, theirs = reference
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    ratio = Spread(tuple(there / here for here, there in pairs))
    return Comparison(
        what,
        f"{things}/s",
        Spread(tuple(number / here for here, _ in pairs)),
        against,
        Spread(tuple(number / there for _, there in pairs)),
        ratio,
        f"≥ {bar:g}",
        ratio.middle >= bar,
    )


def sizes(
    what: str, unit: str, ours: float, reference: tuple[str, Sequence[float]], bar: float
) -> Comparison:
    """Compare sizes, which do not vary: ours should stay within `bar`, of the unit itself."""
    against, theirs = reference
    return Comparison(
        what,
        unit,
        Spread((ours,)),
        against,
        Spread(tuple(theirs)),
        Spread(tuple(ours / each for each in theirs)),
        f"≤ {bar:,.0f} {unit}",
        ours <= bar,
    )
