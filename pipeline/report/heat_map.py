"""A heat map over the picture it is about, as a PNG file for people."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Orange and blue keep apart for every kind of colour blindness (Okabe & Ito); radiographs are grey.
FOR, AGAINST = "#e66100", "#2c7fd6"
OPACITY = 0.65  # of the strongest cell; the picture stays visible under all
CAVEAT = "For research, not for diagnosis."


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A map of evidence and the picture to lay it on; places in the picture's own pixels."""

    pixels: np.ndarray  # uint8 (height, width)
    square: tuple[int, int, int, int]  # x, y, width, height of the crop in it
    cells: np.ndarray  # float (row, column): positive for `finding`, negative for `normal`
    constant: float
    finding: str
    normal: str
    facts: Mapping[str, str]  # what stands beside it, such as the label in force


def draw(overlay: Overlay) -> bytes:
    """The picture, the map over it, a legend and the words that belong to it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    x, y, width, height = overlay.square
    whole = overlay.pixels.shape == (height, width)
    with rc_context({"font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(9.5, 5.6) if whole else (9.5, 8.6), dpi=110, layout="constrained")
        if whole:
            bare, mapped = figure.subplots(1, 2)
        else:
            panels = figure.subplot_mosaic([["scan", "scan"], ["bare", "mapped"]])
            bare, mapped = panels["bare"], panels["mapped"]
            _show(panels["scan"], overlay, "Where the crop lies on the scan")
            _lay(panels["scan"], overlay)
            _frame(panels["scan"], overlay)
        _show(bare, overlay, "Crop")
        _show(mapped, overlay, "What speaks for and against")
        colours = _lay(mapped, overlay)
        for axes in (bare, mapped):
            axes.set_xlim(x - 0.5, x + width - 0.5)
            axes.set_ylim(y + height - 0.5, y - 0.5)
        bar = figure.colorbar(colours, ax=[bare, mapped], orientation="horizontal", aspect=50)
        bar.set_label(f"blue speaks for {overlay.normal}   ·   orange speaks for {overlay.finding}")
        figure.suptitle(_title(overlay), fontsize=9, ha="left", x=0.02)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _show(axes: "Axes", overlay: Overlay, title: str) -> None:
    axes.imshow(overlay.pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])


def _lay(axes: "Axes", overlay: Overlay):
    """The map over its square; colour says for or against, opacity how much."""
    from matplotlib.colors import LinearSegmentedColormap

    x, y, width, height = overlay.square
    strongest = float(np.abs(overlay.cells).max()) or 1.0
    strength = np.linspace(-1, 1, 257)
    colours = LinearSegmentedColormap.from_list("evidence", [AGAINST, AGAINST, FOR, FOR])
    table = colours(np.where(strength < 0, 0.0, 1.0))
    table[:, 3] = OPACITY * np.abs(strength)
    edges = (x - 0.5, x + width - 0.5, y + height - 0.5, y - 0.5)
    return axes.imshow(
        overlay.cells,
        cmap=LinearSegmentedColormap.from_list("evidence", table, N=257),
        vmin=-strongest,
        vmax=strongest,
        extent=edges,
        interpolation="nearest",  # cells as they are: they add up to the logit
    )


def _frame(axes: "Axes", overlay: Overlay) -> None:
    """The whole scan again, since a map narrows the view to itself, and the crop's edge."""
    from matplotlib.patches import Rectangle

    height, width = overlay.pixels.shape
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    left, top, *size = overlay.square
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), *size, fill=False, color=FOR))


def _title(overlay: Overlay) -> str:
    first, *others = [f"{name}: {value}" for name, value in overlay.facts.items()]
    facts = first + "\n" + "   ".join(others)
    total = overlay.cells.sum()
    return (
        f"{facts}\n"
        f"log-odds of {overlay.finding} against {overlay.normal}: {total + overlay.constant:+.2f}"
        f" = cells {total:+.2f}, constant of this row {overlay.constant:+.2f}\n{CAVEAT}"
    )
