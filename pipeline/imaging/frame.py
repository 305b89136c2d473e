"""One frame of a scan, with the downscaled overview that whole-image computations share.

Images are uint8 of shape (height, width), brighter meaning denser.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.imaging.downscale import shrink

# Least pixels of an overview's longer edge, unless the scan has fewer: enough for borders, quality,
# perceptual hashes and finding teeth.
MIN_EDGE = 512


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame; its overview is computed on first use."""

    pixels: np.ndarray

    @cached_property
    def overview(self) -> np.ndarray:
        """The frame halved until its longer edge is below 1024, at a tenth of the cost of 512."""
        height, width = self.pixels.shape
        while max(height, width) >= 2 * MIN_EDGE:
            height, width = height // 2, width // 2
        return shrink(self.pixels, max(1, width), max(1, height))

    def without_border(self, share: float) -> "Frame":
        """The frame with this share of its height and width blacked out at each edge."""
        if not share:
            return self
        down, across = (round(share * side) for side in self.pixels.shape)
        kept = np.s_[down : self.pixels.shape[0] - down, across : self.pixels.shape[1] - across]
        masked = np.zeros_like(self.pixels)
        masked[kept] = self.pixels[kept]
        return Frame(masked)
