"""One frame of a scan and the overview that all who look at the whole of it share.

Pictures are uint8 of shape (height, width), brighter meaning denser.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.imaging.downscale import shrink

# Pixels that the longer edge of an overview has at least, unless the scan's has fewer: for finding
# borders, quality, likeness and teeth they are enough.
EDGE = 512


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame; its overview is made when somebody first asks for it."""

    pixels: np.ndarray

    @cached_property
    def overview(self) -> np.ndarray:
        """The frame halved until its longer edge is below 1024: a tenth of what 512 would cost."""
        height, width = self.pixels.shape
        while max(height, width) >= 2 * EDGE:
            height, width = height // 2, width // 2
        return shrink(self.pixels, max(1, width), max(1, height))

    def without_border(self, share: float) -> "Frame":
        """The frame with this share of its height and width blacked at each edge."""
        if not share:
            return self
        down, across = (round(share * side) for side in self.pixels.shape)
        kept = np.s_[down : self.pixels.shape[0] - down, across : self.pixels.shape[1] - across]
        masked = np.zeros_like(self.pixels)
        masked[kept] = self.pixels[kept]
        return Frame(masked)
