"""Curves, points and series of the pages of models and of the overview, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipeline.report.charts.svg_charts import (
    BAR,
    MARK,
    SEEN,
    SOFT,
    Frame,
    bar,
    element,
    legend,
    line,
    svg,
    text,
)

if TYPE_CHECKING:
    from pipeline.model.scores.curves import Curve
    from pipeline.model.scores.evaluation import Bin

HUES = tuple(f"var(--hue-{number})" for number in range(1, 7))
WIDEST = 48  # pixels of a column


def curve(found: "Curve", names: tuple[str, str], description: str) -> Markup:
    """Draw a curve between 0 and 1 with its band, and what chance reaches."""
    frame = Frame(340, 320)
    band = []
    if found.low:  # none for one patient
        band += zip(found.x, found.high, strict=True)
        band += zip(found.x[::-1], found.low[::-1], strict=True)
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in frame.points(band))
    elements = [
        *frame.axes(*names),
        element("polygon", points=corners, fill=BAR, opacity=0.2) if band else "",
        line(frame.points(found.chance), SOFT, stroke_dasharray="5 4"),
        line(frame.points(zip(found.x, found.y, strict=True)), BAR, stroke_width=2),
    ]
    return svg(340, 320, description, elements)


def reliability(bins: Sequence["Bin"]) -> Markup:
    """Draw the share of abnormal crops over the mean p(abnormal) of each bin, with intervals."""
    frame = Frame(340, 320)
    elements = [
        *frame.axes("mean p(abnormal) of the bin", "share of abnormal crops"),
        line(frame.points([(0, 0), (1, 1)]), SOFT, stroke_dasharray="5 4"),
    ]
    for each in bins:
        x, y = frame.x(each.said), frame.y(each.found)
        if each.low is not None:
            elements.append(line([(x, frame.y(each.low)), (x, frame.y(each.high))], BAR))
        elements.append(element("circle", cx=x, cy=y, r=4, fill=BAR))
        # On the inner side of dots near the edges, where a number would be cut off.
        aside, anchor = (x - 6, "end") if each.said > 0.9 else (x + 6, "start")
        above = y - 6 if each.found < 0.95 else y + 16
        elements.append(text(aside, above, str(each.rows), anchor))
    return svg(340, 320, "Reliability on the test side, ten bins", elements)


def scatter(points: Sequence[tuple[float, float]], groups: Sequence[str], title: str) -> Markup:
    """Draw points coloured by group; groups beyond the six most frequent share one colour."""
    names = sorted(set(groups), key=lambda name: (-groups.count(name), name))
    hues = {name: HUES[number] if number < len(HUES) else SEEN for number, name in enumerate(names)}
    xs, ys = zip(*points, strict=True)
    limits = {"x_range": (min(xs), max(xs)), "y_range": (min(ys), max(ys))}
    frame = Frame(340, 300, **limits, left=10, right=10, top=10, bottom=10)
    elements = [
        element("circle", cx=frame.x(x), cy=frame.y(y), r=3, fill=hues[group], opacity=0.75)
        for (x, y), group in zip(points, groups, strict=True)
    ]
    entries = [(hues[name], f"{name} ({groups.count(name)})") for name in names[: len(HUES)]]
    if rest := names[len(HUES) :]:
        entries.append((SEEN, f"{len(rest)} others"))
    height = 310 + 17 * len(entries)
    return svg(340, height, title, [*elements, *legend(entries, 12, 318)])


def columns(values: Mapping[str, Sequence[float]], names: Sequence[str], y_label: str) -> Markup:
    """Draw one stacked column per name, in the order given; `values` holds the stacked series."""
    totals = [sum(each) for each in zip(*values.values(), strict=True)]
    frame = Frame(560, 240, (0, len(names)), (0, max(totals, default=1) or 1), top=52)
    wide = frame.x(1) - frame.x(0)
    elements, below = frame.axes("", y_label, x_ticks=False), [0.0] * len(names)
    for colour, series in zip(HUES, values.values(), strict=False):
        for number, value in enumerate(series):
            top, bottom = frame.y(below[number] + value), frame.y(below[number])
            gap = min(2, wide / 4)
            if value:
                left = frame.x(number) + gap / 2
                elements.append(bar(left, top, min(WIDEST, wide - gap), bottom - top, colour))
            below[number] += value
    elements += _ends(frame, names)
    for number, (colour, name) in enumerate(zip(HUES, values, strict=False)):
        elements += legend(
            [(colour, name)], frame.left + 150 * (number % 3), 14 + 17 * (number // 3)
        )
    return svg(560, 240, f"{y_label}: {', '.join(values)}", elements)


def intervals(
    values: Sequence[tuple[str, float, float | None, float | None, bool]], y_label: str
) -> Markup:
    """Draw values between 0 and 1 with their intervals in the order given; some are marked."""
    frame = Frame(560, 220, (0, len(values)), (0, 1))
    elements = frame.axes("", y_label, x_ticks=False)
    for number, (_, value, low, high, marked) in enumerate(values):
        x, colour = frame.x(number + 0.5), MARK if marked else BAR
        if low is not None and high is not None:
            elements.append(line([(x, frame.y(low)), (x, frame.y(high))], colour))
        elements.append(element("circle", cx=x, cy=frame.y(value), r=4, fill=colour))
    elements += _ends(frame, [name for name, *_ in values])
    return svg(560, 220, y_label, elements)


def _ends(frame: Frame, names: Sequence[str]) -> list[str]:
    """The names of the first and the last column."""
    bottom = frame.height - frame.bottom + 18
    found = [text(frame.left, bottom, names[0])] if names else []
    return found + [text(frame.width - frame.right, bottom, names[-1], "end")] * (len(names) > 1)
