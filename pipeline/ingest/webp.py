"""The header of a WebP file, parsed here: Pillow allocates the whole picture to read it.

A RIFF file whose first chunk is VP8 (lossy), VP8L (lossless) or VP8X (with further chunks).
Source: RFC 9649.
"""

from typing import NamedTuple

ANIMATION = 0x02  # flag of VP8X


class WebP(NamedTuple):
    """Facts of a WebP file."""

    width: int
    height: int
    animated: bool


def is_webp(data: bytes) -> bool:
    """Whether the bytes begin as a WebP file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_webp_header(data: bytes) -> WebP | None:
    """The facts of a WebP file; None for a malformed header."""
    if len(data) < 30:
        return None
    kind, body = data[12:16], data[20:]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
        return WebP(width, height, bool(body[0] & ANIMATION))
    if kind == b"VP8L" and body[0] == 0x2F:
        sizes = int.from_bytes(body[1:5], "little")
        return WebP(1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF), False)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return WebP(width, height, False)
    return None
