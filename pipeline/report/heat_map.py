"""Heat maps that explain a prediction, drawn over the crop or the scan as a PNG file."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Orange and blue stay distinct under every kind of colour blindness (Okabe & Ito), on grey images.
FINDING_COLOUR, NORMAL_COLOUR = "#e66100", "#2c7fd6"
OPACITY = 0.65  # of the strongest cell; the image stays visible under all of them
CAVEAT = "For research, not for diagnosis."


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A map of evidence and the image to draw it on; positions are pixels of that image."""

    pixels: np.ndarray  # uint8 (height, width)
    square: tuple[int, int, int, int]  # x, y, width, height of the crop in it
    cells: np.ndarray  # float (row, column): positive for `finding`, negative for `normal`
    constant: float
    finding: str
    normal: str
    facts: Mapping[str, str]  # printed above it, such as the current label


def draw(overlay: Overlay) -> bytes:
    """Return a PNG with the image, the map over it, a colour bar and the facts."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    x, y, width, height = overlay.square
    whole = overlay.pixels.shape == (height, width)
    with rc_context({"font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(9.5, 5.6) if whole else (9.5, 8.6), dpi=110, layout="constrained")
        if whole:
            plain, mapped = figure.subplots(1, 2)
        else:
            panels = figure.subplot_mosaic([["scan", "scan"], ["plain", "mapped"]])
            plain, mapped = panels["plain"], panels["mapped"]
            _show_image(panels["scan"], overlay, "Position of the crop on the scan")
            _draw_map(panels["scan"], overlay)
            _outline_crop(panels["scan"], overlay)
        _show_image(plain, overlay, "Crop")
        _show_image(mapped, overlay, "Evidence for and against a finding")
        colours = _draw_map(mapped, overlay)
        for axes in (plain, mapped):
            axes.set_xlim(x - 0.5, x + width - 0.5)
            axes.set_ylim(y + height - 0.5, y - 0.5)
        bar = figure.colorbar(colours, ax=[plain, mapped], orientation="horizontal", aspect=50)
        bar.set_label(
            f"blue: evidence for {overlay.normal}   ·   orange: evidence for {overlay.finding}"
        )
        figure.suptitle(_title(overlay), fontsize=9, ha="left", x=0.02)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _show_image(axes: "Axes", overlay: Overlay, title: str) -> None:
    axes.imshow(overlay.pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_map(axes: "Axes", overlay: Overlay):
    """Draw the map over its square: colour is the sign of the evidence, opacity its strength."""
    from matplotlib.colors import LinearSegmentedColormap

    x, y, width, height = overlay.square
    strongest = float(np.abs(overlay.cells).max()) or 1.0
    strength = np.linspace(-1, 1, 257)
    colours = LinearSegmentedColormap.from_list(
        "evidence", [NORMAL_COLOUR, NORMAL_COLOUR, FINDING_COLOUR, FINDING_COLOUR]
    )
    table = colours(np.where(strength < 0, 0.0, 1.0))
    table[:, 3] = OPACITY * np.abs(strength)
    edges = (x - 0.5, x + width - 0.5, y + height - 0.5, y - 0.5)
    return axes.imshow(
        overlay.cells,
        cmap=LinearSegmentedColormap.from_list("evidence", table, N=257),
        vmin=-strongest,
        vmax=strongest,
        extent=edges,
        interpolation="nearest",  # no smoothing: the cells add up to the logit
    )


def _outline_crop(axes: "Axes", overlay: Overlay) -> None:
    """Outline the crop and show the whole scan again, since drawing a map zooms in on it."""
    from matplotlib.patches import Rectangle

    height, width = overlay.pixels.shape
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    left, top, *size = overlay.square
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), *size, fill=False, color=FINDING_COLOUR))


def _title(overlay: Overlay) -> str:
    first, *others = [f"{name}: {value}" for name, value in overlay.facts.items()]
    facts = first + "\n" + "   ".join(others)
    total = overlay.cells.sum()
    return (
        f"{facts}\n"
        f"log-odds of {overlay.finding} against {overlay.normal}: {total + overlay.constant:+.2f}"
        f" = cells {total:+.2f}, constant {overlay.constant:+.2f}\n{CAVEAT}"
    )
