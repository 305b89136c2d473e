"""Turn the bytes of one received file into a grey 8-bit picture and facts about it.

Pictures are uint8 arrays of shape (height, width), brighter meaning denser, as a person sees them
(EXIF orientation applied). Nothing here opens a file or knows about batches. A file that cannot be
used raises ScanRejected, whose words hold numbers only: they are stored.
"""

import io
import os
import tempfile
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageSequence

from pipeline.errors import ScanRejected
from pipeline.ingest.dicom.decode import decode as decode_dicom
from pipeline.ingest.dicom.file import is_dicom
from pipeline.ingest.picture import Picture, to_eight_bits

FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "TIFF": "tiff", "BMP": "bmp", "DIB": "bmp"}
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
# What files of these formats begin with, to tell a damaged picture from something else.
BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
}
# What libjpeg says, to standard error alone, when it makes up pixels for data that are missing or
# damaged although the file has an end: imdecode returns the picture as if nothing were wrong.
INCOMPLETE = (
    b"premature end of data segment",
    b"Premature end of JPEG",
    b"bad Huffman code",
    b"Inconsistent progression",
    b"instead of RST",
)
# TIFF's NewSubfileType: a page that is a smaller copy of another (1) or a mask for it (4).
SUBFILE_TYPE, NO_PAGE = 254, 1 | 4
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
BITS, SAMPLES, PLANES, APART = 258, 277, 284, 2


class Page(NamedTuple):
    """What a page of a TIFF says of itself."""

    wanted: bool  # whether it is a frame of the scan
    inverted: bool  # whether its zero is white


@dataclass(frozen=True)
class Header:
    """What a raster file says of itself before anything large is allocated."""

    format: str
    width: int
    height: int
    colour: bool
    pages: tuple[Page, ...]  # of a TIFF, in their order


def decode(data: bytes, bits: int | None, max_pixels: int) -> Picture:
    """Decode one file. `bits` is what the delivery says of the sensor, if anything.

    The pages of a TIFF are frames of one scan; of an animated PNG, the picture that every viewer
    shows is taken. Raises ScanRejected: empty, not_an_image, too_large, undecodable, mixed_pages,
    too_bright, unsupported_pixels and, for DICOM, what `dicom.decode` says. Raises MemoryError.
    """
    if not data:
        raise ScanRejected("empty", "0 bytes; deliver the file again")
    if is_dicom(data):
        return decode_dicom(data, max_pixels)
    header = _header(data, max_pixels)
    try:
        frames = _frames(data, header)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        frames = []
    if not frames:
        raise ScanRejected(
            "undecodable",
            f"a {header.format} file of {len(data)} bytes that is truncated or damaged; "
            "deliver it again",
        )
    return _picture(frames, header, bits)


def _frames(data: bytes, header: Header) -> list[np.ndarray]:
    """Pixels as delivered, or an empty list when not all of them are there."""
    # imdecode, not imread: imread pads truncated JPEGs, imdecode returns None for them.
    # ANYDEPTH alone means grey at the file's own depth, with the EXIF orientation applied.
    packed = np.frombuffer(data, np.uint8)
    if len(header.pages) < 2:
        pixels, said = _decode_listening(packed)
        missing = pixels is None or any(words in said for words in INCOMPLETE)
        return [] if missing else [pixels]
    _, pages = cv2.imdecodemulti(packed, cv2.IMREAD_ANYDEPTH)
    if len(pages) != len(header.pages):
        return []
    return [pixels for pixels, page in zip(pages, header.pages, strict=True) if page.wanted]


def _decode_listening(packed: np.ndarray) -> tuple[np.ndarray | None, bytes]:
    """Pixels, and what the decoder wrote to standard error; not for several threads at once."""
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            pixels = cv2.imdecode(packed, cv2.IMREAD_ANYDEPTH)
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
        heard.seek(0)
        return pixels, heard.read()


def _header(data: bytes, max_pixels: int) -> Header:
    """Format, size and pages, from what is written in front of the pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about sizes: refuse_large has its say
            picture = Image.open(io.BytesIO(data), formats=sorted(set(FORMATS) - {"DIB", "MPO"}))
            refuse_large(picture.width, picture.height, max_pixels)
            pages = _pages(picture, max_pixels) if picture.format == "TIFF" else ()
    except (ScanRejected, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise ScanRejected("too_large", "more pixels than any dental scan has") from None
    except Exception:  # Pillow's parsers raise many kinds on hostile headers; all mean the same
        raise _no_picture(data) from None
    colour = picture.mode not in GREY_MODES
    return Header(FORMATS[picture.format], picture.width, picture.height, colour, pages)


def _no_picture(data: bytes) -> ScanRejected:
    for beginning, name in BEGINNINGS.items():
        if data.startswith(beginning):
            return ScanRejected(
                "undecodable",
                f"a {name} file of {len(data)} bytes whose header is truncated, damaged or of a "
                "kind that is not read (such as 12-bit or lossless JPEG); export it again",
            )
    return ScanRejected(
        "not_an_image", f"{len(data)} bytes that are no JPEG, PNG, TIFF, BMP or DICOM"
    )


def _pages(picture: Image.Image, max_pixels: int) -> tuple[Page, ...]:
    """The pages of a TIFF. Leaves `picture` at the first that is a frame."""
    size, total, pages = None, 0, []
    for page in ImageSequence.Iterator(picture):
        total += page.width * page.height
        if total > max_pixels:
            refuse_large(page.width, total // page.width, max_pixels)
        wanted = not page.tag_v2.get(SUBFILE_TYPE, 0) & NO_PAGE
        if wanted:
            size = size or page.size
            if page.size != size:
                raise ScanRejected(
                    "mixed_pages",
                    f"page {len(pages) + 1} of this TIFF is {page.width} x {page.height} pixels, "
                    f"the first {size[0]} x {size[1]}; deliver one file a page",
                )
            _refuse_planes(page)
        pages.append(Page(wanted, page.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO))
    if len(pages) == 1:  # it is the scan, whatever it calls itself
        pages[0] = pages[0]._replace(wanted=True)
    picture.seek(next((at for at, page in enumerate(pages) if page.wanted), 0))
    return tuple(pages)


def _refuse_planes(page: Image.Image) -> None:
    """Of more than 8 bits, OpenCV takes planes of colours that lie apart for one of mixed colours.

    What comes out is scrambled, without a word.
    """
    tags = page.tag_v2
    apart = tags.get(PLANES) == APART and tags.get(SAMPLES, 1) > 1
    if apart and (bits := max(tags.get(BITS, (1,)))) > 8:
        raise ScanRejected(
            "unsupported_pixels",
            f"a TIFF whose colours lie apart, in planes of {bits} bits; export it in grey, or with "
            "the colours of each pixel together",
        )


def refuse_large(width: int, height: int, max_pixels: int) -> None:
    """A header that promises more pixels than allowed is believed, and the file refused."""
    if width * height > max_pixels:
        raise ScanRejected(
            "too_large",
            f"{width} x {height} pixels, at most {max_pixels} are taken; raise `max_pixels` "
            "and `scan_memory_mb` if this is a real scan",
        )


def _picture(frames: list[np.ndarray], header: Header, said_bits: int | None) -> Picture:
    kinds = {pixels.dtype for pixels in frames}
    if kinds == {np.dtype(np.uint8)}:
        bits, bits_from = 8, "file"
    elif kinds == {np.dtype(np.uint16)}:
        bits, bits_from = _sensor_bits(max(int(pixels.max()) for pixels in frames), said_bits)
        frames = [to_eight_bits(pixels, bits) for pixels in frames]
        # OpenCV inverts 8 bits itself, and leaves 16 as they are.
        whites = [page.inverted for page in header.pages if page.wanted] or [False]
        frames = [255 - grey if white else grey for grey, white in zip(frames, whites, strict=True)]
    else:
        said = " and ".join(sorted(str(kind) for kind in kinds))
        raise ScanRejected(
            "unsupported_pixels",
            f"{header.format} with pixels of type {said}; 8 or 16 bits are expected",
        )
    return Picture(
        frames=tuple(frames),
        format=header.format,
        bits=bits,
        bits_from=bits_from,
        colour=header.colour,
    )


def _sensor_bits(brightest: int, said: int | None) -> tuple[int, str]:
    """Bits of the sensor of a 16-bit picture: as delivered, else 12 when nothing exceeds 12."""
    if said is None:
        return (12 if brightest < 4096 else 16), "guessed"
    if brightest >= 2**said:
        raise ScanRejected(
            "too_bright",
            f"brightest pixel is {brightest} but a {said}-bit scan ends at {2**said - 1}; "
            "correct `bits` in the table",
        )
    return said, "csv"
