"""Compare two ways of doing the same work, measured alternately.

Noise that lasts longer than a pair affects both of its sides, so ratios are taken pair by pair, and
their median is reported.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The values of several repeats."""

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
    """One row of the table: what was measured, for ours and for the reference if there is one."""

    what: str
    unit: str
    ours: Spread
    against: str
    reference: Spread | None
    ratio: Spread | None
    bar: str
    met: bool | None  # None without a bar


def seconds_of(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rates(
    what: str,
    count: tuple[int, str],
    ours: Callable[[], float],
    reference: tuple[str, Callable[[], float]],
    bar: float | None,
    repeats: int,
) -> Comparison:
    """Compare rates; the median ratio of ours to the reference should reach `bar`, if any.

    `count` is the number of items in one repeat and their name. `ours` and the reference return the
    seconds of one repeat, so that each can exclude its own preparation.
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
        "" if bar is None else f"≥ {bar:g}",
        None if bar is None else ratio.middle >= bar,
    )


def seconds(what: str, ours: Callable[[], float], bar: float | None, repeats: int) -> Comparison:
    """Measure seconds, which should be at most `bar`, if any; there is no reference."""
    spread = Spread(tuple(ours() for _ in range(repeats)))
    limit = "" if bar is None else f"≤ {bar:g} s"
    met = None if bar is None else spread.middle <= bar
    return Comparison(what, "s", spread, "", None, None, limit, met)


def excess(
    what: str,
    unit: str,
    ours: Sequence[float],
    reference: tuple[str, Sequence[float]],
    bar: float,
) -> Comparison:
    """Compare values that should be small, pair by pair; the median ratio is at most `bar`."""
    against, theirs = reference
    ratio = Spread(tuple(here / there for here, there in zip(ours, theirs, strict=True)))
    return Comparison(
        what,
        unit,
        Spread(tuple(ours)),
        against,
        Spread(tuple(theirs)),
        ratio,
        f"≤ {bar:g}",
        ratio.middle <= bar,
    )


def sizes(
    what: str, unit: str, ours: float, reference: tuple[str, Sequence[float]], bar: float
) -> Comparison:
    """Compare sizes, which do not vary; ours should be at most `bar` units."""
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
