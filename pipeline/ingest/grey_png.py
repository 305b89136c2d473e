"""Grey PNG files of 8 or 16 bits: the pixels that OpenCV decodes, in a third of its time.

OpenCV's wheels come with zlib 1.2.11 and decode a panoramic of 2943 × 1435 in 31 to 39 ms of one
core, 61 ms with 16 bits. The library png in Rust, which is in kornia-rs, takes 9 to 16 and 20 ms.
"""

from collections.abc import Iterator

import numpy as np
from kornia_rs.io import decode_image_png_u8, decode_image_png_u16

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BITS, COLOUR_TYPE, GREY = 24, 25, 0  # bytes of the header chunk, which is always the first one
DECODERS = {8: decode_image_png_u8, 16: decode_image_png_u16}
# Chunks that change what OpenCV returns: transparency, EXIF orientation, animation.
CHANGING = {b"tRNS", b"eXIf", b"acTL"}


def decode_grey_png(data: bytes, width: int, height: int) -> np.ndarray | None:
    """Pixels, uint8 or uint16 (height, width); None for any other file and for a damaged one.

    Damage that the checksums of the chunks do not show is not noticed: the checksum of the
    uncompressed data is not compared.
    """
    if not data.startswith(SIGNATURE) or data[COLOUR_TYPE] != GREY:
        return None
    if data[BITS] not in DECODERS or CHANGING.intersection(_chunks(data)):
        return None
    try:
        pixels: np.ndarray = DECODERS[data[BITS]](data, (height, width), "mono")
    except Exception:  # its kinds are not documented; OpenCV tells whether the file is damaged
        return None
    return pixels[..., 0]


def _chunks(data: bytes) -> Iterator[bytes]:
    """The types of all chunks; of a damaged file, as far as lengths lead to the next."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        yield data[at + 4 : at + 8]
        at += int.from_bytes(data[at : at + 4]) + 12  # length, type and checksum have 4 bytes each
