"""Recognise the icons of viewers and web pages, which are tiny and coloured."""

import cv2
import numpy as np

from pipeline.ingest.decoded_picture import Picture

ICON_SIDE = 64  # pixels; no scan is that small, but a test or a sample set of grey ones may be
COLOURED, COLOURED_SHARE = 1 / 16, 0.01  # difference of channels of full scale; share of pixels


def is_icon(data: bytes, picture: Picture) -> bool:
    """Whether a decoded file is at most 64 × 64 pixels and has colours or transparent pixels.

    A grey scan stored in colour has equal channels, and noise of lossy compression.
    """
    tiny = max(picture.width, picture.height) <= ICON_SIDE
    if not tiny or not picture.colour or picture.format == "dicom":
        return False
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim < 3:
        return False
    full = np.iinfo(pixels.dtype).max
    transparent = pixels.shape[2] == 4 and (pixels[..., 3] < full).any()
    spread = np.ptp(pixels[..., :3].astype(np.int32), axis=2)
    return bool(transparent or (spread > full * COLOURED).mean() >= COLOURED_SHARE)
