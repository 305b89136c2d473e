"""Charts of the HTML pages as inline SVG, drawn without a library, and the parts that make them.

Colours are CSS variables of the pages, so charts follow light mode, dark mode and print. Equal
numbers give equal text. Nothing is fetched, and no style attribute is used, which the pages forbid.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

INK, SOFT, LINE = "var(--ink)", "var(--soft)", "var(--line)"
BAR, SEEN, MARK = "var(--bar)", "var(--seen)", "var(--mark)"
CHARACTER = 6.6  # pixels of an average character, for places of labels


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an SVG element; `_` in names of attributes stands for `-`, numbers are rounded."""
    written = "".join(
        f' {key.replace("_", "-")}="{_value(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value))


def text(x: float, y: float, content: str, anchor: str = "start", **attributes: object) -> str:
    """Return a line of text whose baseline is at `y`."""
    place = {"x": float(x), "y": float(y), "text_anchor": anchor, "fill": INK}
    return element("text", escape(content), **place | attributes)


def line(points: Iterable[tuple[float, float]], colour: str, **attributes: object) -> str:
    """Return a line through points in pixels."""
    path = " ".join(f"{_value(float(x))},{_value(float(y))}" for x, y in points)
    return element("polyline", points=path, fill="none", stroke=colour, **attributes)


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Return a filled rectangle."""
    sides = {"x": float(x), "y": float(y), "width": float(width), "height": float(height)}
    return element("rect", fill=colour, **sides)


def svg(width: float, height: float, description: str, elements: Iterable[str]) -> Markup:
    """Return a chart as one element of an HTML page."""
    content = "".join(elements)
    box = f"0 0 {_value(float(width))} {_value(float(height))}"
    shape = {"class": "chart", "viewBox": box, "width": float(width), "height": float(height)}
    return Markup(element("svg", content, **shape, role="img", aria_label=description))


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers from `low` to `high`, about `count`, in steps of 1, 2 or 5."""
    span = (high - low) or 1
    power = 10 ** math.floor(math.log10(span / count))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= span / count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


@dataclass(frozen=True)
class Frame:
    """The area of a chart with axes: turns data coordinates into pixels."""

    width: float
    height: float
    x_range: tuple[float, float] = (0, 1)
    y_range: tuple[float, float] = (0, 1)
    left: float = 46
    right: float = 14
    top: float = 12
    bottom: float = 40

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / ((high - low) or 1) * (
            self.width - self.left - self.right
        )

    def y(self, value: float) -> float:
        low, high = self.y_range
        inner = self.height - self.top - self.bottom
        return self.top + inner - (value - low) / ((high - low) or 1) * inner

    def axes(self, x_label: str, y_label: str, x_ticks: bool = True) -> list[str]:
        """Return the axes with round numbers and their names."""
        left, right, bottom = self.left, self.width - self.right, self.height - self.bottom
        found = [line([(left, self.top), (left, bottom), (right, bottom)], SOFT)]
        for value in ticks(*self.y_range):
            found.append(line([(left, self.y(value)), (right, self.y(value))], LINE))
            found.append(text(left - 6, self.y(value) + 4, f"{value:g}", "end"))
        for value in ticks(*self.x_range) if x_ticks else ():
            found.append(text(self.x(value), bottom + 16, f"{value:g}", "middle"))
        found.append(text((left + right) / 2, self.height - 6, x_label, "middle"))
        middle = (self.top + bottom) / 2
        turned = f"rotate(-90 12 {_value(float(middle))})"
        found.append(text(12, middle, y_label, "middle", transform=turned))
        return found

    def points(self, values: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(self.x(x), self.y(y)) for x, y in values]


def legend(entries: Sequence[tuple[str, str]], x: float, y: float) -> list[str]:
    """Return coloured squares with names, one below the other."""
    found = []
    for number, (colour, name) in enumerate(entries):
        top = y + 17 * number
        found += [bar(x, top - 9, 10, 10, colour), text(x + 15, top, name)]
    return found


def timing(seconds: Mapping[str, float]) -> Markup:
    """Draw one bar per stage, in the order of the stages; the longest is marked."""
    longest = max(seconds.values()) or 1
    left = 12 + CHARACTER * max(map(len, seconds))
    elements = []
    for number, (stage, value) in enumerate(seconds.items()):
        middle, wide = 14 + 24 * number, 250 * value / longest
        elements += [
            text(left - 8, middle + 4, stage, "end"),
            bar(left, middle - 8, wide, 16, MARK if value == longest else BAR),
            text(left + wide + 6, middle + 4, f"{value:.1f} s"),
        ]
    return svg(left + 320, 8 + 24 * len(seconds), "Seconds by stage", elements)


def histogram(unseen: Sequence[int], seen: Sequence[int], threshold: float) -> Markup:
    """Draw the crops per bin of p_abnormal between 0 and 1, and the threshold."""
    most = max(map(sum, zip(unseen, seen, strict=True)))
    frame = Frame(560, 230, y_range=(0, most or 1), top=52)
    wide = (frame.x(1) - frame.x(0)) / len(unseen)
    elements = frame.axes("p(abnormal)", "crops")
    for number, (one, other) in enumerate(zip(unseen, seen, strict=True)):
        left, heights = frame.x(0) + wide * number, (frame.y(one), frame.y(one + other))
        elements.append(bar(left + 1, heights[0], wide - 2, frame.y(0) - heights[0], BAR))
        if other:
            elements.append(bar(left + 1, heights[1], wide - 2, heights[0] - heights[1], SEEN))
    place = frame.x(min(max(threshold, 0), 1))
    elements.append(line([(place, frame.top), (place, frame.y(0))], MARK, stroke_dasharray="5 4"))
    entries = [(BAR, "unseen in training")] + [(SEEN, "seen in training")] * any(seen)
    elements += legend(entries, frame.left, 14)
    elements += legend([(MARK, f"flagged from {threshold:.3f}")], frame.left + 190, 14)
    return svg(560, 230, f"Histogram of p(abnormal), threshold {threshold:.3f}", elements)


def shares(values: Mapping[str, float], marked: float = 1.0) -> Markup:
    """Draw each value as a bar next to its name, with a line at `marked`."""
    left = 12 + CHARACTER * max(map(len, values))
    scale = 200 / max(2 * marked, *values.values())
    elements = [line([(left + marked * scale, 2), (left + marked * scale, 24 * len(values))], INK)]
    for number, (name, value) in enumerate(values.items()):
        middle = 13 + 24 * number
        colour = MARK if value > marked else SEEN
        elements += [
            text(left - 8, middle + 4, name, "end"),
            bar(left, middle - 7, max(1, value * scale), 14, colour),
        ]
    return svg(left + 210, 4 + 24 * len(values), "Facts beside what chance gives", elements)
