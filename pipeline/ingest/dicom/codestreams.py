"""Headers of the compressed codestreams inside DICOM objects: size, samples and colour space.

A DICOM header may declare a small image around a codestream that asks for gigabytes, greyscale
around a colour image, or RGB around YCbCr; decoders follow the codestream.
"""

from dataclasses import dataclass

SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}  # JPEG's SOF markers, and JPEG-LS's
STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
JFIF, ADOBE = 0xE0, 0xEE


@dataclass(frozen=True)
class Codestream:
    """Size of a compressed image and, for JPEG, its colour space if markers declare one."""

    width: int
    height: int
    samples: int  # per pixel
    colour_space: str | None = None  # RGB or YBR_FULL


def read_codestream(data: bytes) -> Codestream | None:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 codestream; None for anything else."""
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    start = 0
    if data[4:8] == b"jP  ":  # a JP2 file, which DICOM does not allow and some devices write
        start = data.find(b"jp2c") + 4
    if data[start : start + 4] == b"\xff\x4f\xff\x51" and len(data) >= start + 42:
        right, bottom, left, top = (
            int.from_bytes(data[at : at + 4], "big") for at in range(start + 8, start + 24, 4)
        )
        samples = int.from_bytes(data[start + 40 : start + 42], "big")
        return Codestream(right - left, bottom - top, samples)
    return None


def _jpeg(data: bytes) -> Codestream | None:
    at, jfif, adobe = 2, False, None
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in STANDALONE:  # a fill byte, or a marker without content
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in SIZES:
            height, width = (int.from_bytes(data[i : i + 2], "big") for i in (at + 5, at + 7))
            # As libjpeg decides: JFIF means YCbCr, even with an Adobe marker for RGB.
            return Codestream(width, height, data[at + 9], "YBR_FULL" if jfif else adobe)
        content = data[at + 4 : at + 2 + length]
        jfif = jfif or (marker == JFIF and content.startswith(b"JFIF"))
        if marker == ADOBE and content.startswith(b"Adobe") and len(content) >= 12:
            adobe = "RGB" if content[11] == 0 else "YBR_FULL"
        at += 2 + length
    return None
