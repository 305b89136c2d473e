"""Image quality measured on a scan's thumbnail, and flags where it is out of bounds.

A flag is a hint, not a verdict; the bounds are settings. Images are uint8 of shape (height, width),
brighter meaning denser; grey levels are 0 to 255.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.config import Quality
from pipeline.imaging.thumbnail import THUMBNAIL

BLACK, WHITE = 2, 253  # grey levels up to and from which a pixel carries no information


@dataclass(frozen=True)
class QualityFacts:
    """Measurements on a thumbnail, so without the collimation border."""

    brightness: float  # mean grey level
    contrast: float  # standard deviation of grey levels
    sharpness: float  # variance of the Laplacian
    dark_share: float  # of pixels that are black
    bright_share: float  # of pixels that are white


def measure(small: np.ndarray) -> QualityFacts:
    """Measure a thumbnail."""
    mean, deviation = cv2.meanStdDev(small)
    _, edges = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_32F))
    return QualityFacts(
        brightness=round(mean.item(), 4),
        contrast=round(deviation.item(), 4),
        sharpness=round(edges.item() ** 2, 4),
        dark_share=round(np.count_nonzero(small <= BLACK) / small.size, 4),
        bright_share=round(np.count_nonzero(small >= WHITE) / small.size, 4),
    )


def flags(
    facts: QualityFacts, width: int, height: int, panoramic: bool, bounds: Quality
) -> dict[str, str]:
    """Flags and their explanations. `width` and `height` are the scan's, in pixels."""
    if facts.contrast < bounds.blank_contrast:
        # All other flags of an image of one tone would follow from this one.
        return {"blank": f"contrast is {facts.contrast:.1f}, so nothing is visible"}
    sharp = bounds.panoramic_sharpness if panoramic else bounds.other_sharpness
    # A scan smaller than the thumbnail was not downscaled, so its sharpness is not comparable.
    blurred = facts.sharpness < sharp and max(width, height) >= THUMBNAIL
    shape = max(width / height, height / width)
    found = {}
    if facts.contrast < bounds.contrast:
        found["low_contrast"] = f"contrast is {facts.contrast:.1f}, at least {bounds.contrast:g}"
    if blurred:
        found["blurred"] = f"sharpness is {facts.sharpness:.1f}, at least {sharp:g}"
    if facts.bright_share > bounds.bright_share:
        found["overexposed"] = f"{facts.bright_share:.0%} white, at most {bounds.bright_share:.0%}"
    if facts.dark_share > bounds.dark_share:
        found["underexposed"] = f"{facts.dark_share:.0%} black, at most {bounds.dark_share:.0%}"
    if shape > bounds.shape:
        found["odd_shape"] = f"{width} x {height} pixels, at most {bounds.shape:g} to 1"
    return {name: f"{text} expected" for name, text in found.items()}
