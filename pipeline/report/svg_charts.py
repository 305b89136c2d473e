"""Charts of the HTML pages as inline SVG: stage times, score histogram, ROC curve, reliability.

Colours are CSS variables of the page (`--ink`, `--soft`, `--bar`, `--seen`, `--mark`), so charts
follow light mode, dark mode and print. Equal numbers give equal text; nothing is fetched.
"""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pipeline.model.scores.evaluation import Bin

# Matplotlib has no CSS variables: it draws in these colours, which are replaced afterwards.
INK, SOFT, BAR, SEEN, MARK = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES = {INK: "--ink", SOFT: "--soft", BAR: "--bar", SEEN: "--seen", MARK: "--mark"}
STYLE = {
    "svg.hashsalt": "dental",
    "svg.fonttype": "none",  # text stays text: searchable, coloured by CSS
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def timing(seconds: Mapping[str, float]) -> str:
    """Draw one bar per stage, in the order of the stages."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, axes = _empty_figure(5.4, 0.5 + 0.27 * len(seconds))
        bars = axes.barh(list(seconds), list(seconds.values()), color=BAR, height=0.65)
        axes.bar_label(bars, [f"{value:.1f} s" for value in seconds.values()], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("seconds")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return _svg(figure, "Seconds by stage")


def histogram(unseen: Sequence[int], seen: Sequence[int], threshold: float) -> str:
    """Draw the crops per bin of p_abnormal between 0 and 1, and the threshold."""
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    left = [number / len(unseen) for number in range(len(unseen))]
    with rc_context(STYLE):
        figure, axes = _empty_figure(7.2, 2.5)
        wide = {"width": 0.92 / len(unseen), "align": "edge"}
        axes.bar(left, unseen, color=BAR, label="unseen in training", **wide)
        if any(seen):
            axes.bar(left, seen, bottom=unseen, color=SEEN, label="seen in training", **wide)
        axes.axvline(threshold, color=MARK, linestyle="--", label=f"flagged from {threshold:.3f}")
        axes.set_xlim(0, 1)
        axes.set_xlabel("p(abnormal)")
        axes.set_ylabel("crops")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
        return _svg(figure, f"Histogram of p(abnormal), threshold {threshold:.3f}")


def roc(points: Sequence[tuple[float, float]]) -> str:
    """Draw sensitivity over the false positive rate, and the diagonal of chance."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, axes = _empty_figure(3.9, 3.6)
        axes.plot([0, 1], [0, 1], color=SEEN, linestyle="--", label="chance")
        axes.plot(*zip(*points, strict=True), color=BAR, label="head")
        axes.set_xlabel("1 − specificity")
        axes.set_ylabel("sensitivity")
        axes.set_aspect("equal")
        axes.legend(loc="lower right")
        return _svg(figure, "Receiver operating characteristic on the test side")


def reliability(bins: Sequence["Bin"]) -> str:
    """Draw the share of abnormal crops over the mean p(abnormal) of each bin, with intervals."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, axes = _empty_figure(3.9, 3.6)
        axes.plot([0, 1], [0, 1], color=SEEN, linestyle="--", label="perfectly calibrated")
        for each in bins:
            if each.low is not None:
                axes.plot([each.said] * 2, [each.low, each.high], color=BAR, linewidth=1)
            axes.annotate(
                str(each.rows), (each.said, each.found), (4, 4), textcoords="offset points"
            )
        means, shares = [each.said for each in bins], [each.found for each in bins]
        axes.plot(means, shares, "o", color=BAR, label="head, with crop counts and 95 % intervals")
        axes.set_xlim(-0.02, 1.04)
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("mean p(abnormal) of the bin")
        axes.set_ylabel("share of abnormal crops")
        axes.set_aspect("equal")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        return _svg(figure, "Reliability on the test side, ten bins")


def _empty_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    # Not pyplot, which keeps figures in memory and chooses a window system.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: "Figure", description: str) -> str:
    """Return the figure as one <svg> element for an HTML page."""
    data = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(data, format="svg", metadata=no_metadata, transparent=True)
    svg = data.getvalue()
    svg = svg[svg.index("<svg") :]
    # HTML needs no namespaces, and group ids would repeat from figure to figure.
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
