"""Decode the bytes of one received file to 8-bit greyscale pixels and facts about them.

Pixels are uint8 arrays of shape (height, width), brighter meaning denser, with the EXIF orientation
applied. Nothing here opens a file or knows about batches. A file that cannot be used raises
ScanRejected, whose message holds no names, only numbers: it is stored.
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
from pipeline.ingest.decoded_picture import Picture, to_eight_bits
from pipeline.ingest.dicom_start import is_dicom
from pipeline.ingest.foreign_formats import FORMAT, foreign_format, unread_compression
from pipeline.ingest.grey_png import decode_grey_png
from pipeline.ingest.sensor_bits import recorded_bits, sensor_bits
from pipeline.ingest.webp import is_webp, read_webp_header

FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "TIFF": "tiff", "BMP": "bmp", "DIB": "bmp"}
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
# The first bytes of these formats, to distinguish damaged images from other files.
SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}
# libjpeg's warnings, on standard error only, when it makes up pixels for missing or damaged data
# although the file has an end marker: imdecode returns the image as if nothing were wrong.
INCOMPLETE = (
    b"premature end of data segment",
    b"Premature end of JPEG",
    b"bad Huffman code",
    b"Inconsistent progression",
    b"instead of RST",
)
# TIFF's NewSubfileType: a page that is a thumbnail of another (1) or a mask for it (4).
SUBFILE_TYPE, THUMBNAIL_OR_MASK = 254, 1 | 4
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
BITS, SAMPLES, PLANAR_CONFIGURATION, SEPARATE_PLANES = 258, 277, 284, 2


class Page(NamedTuple):
    """One page of a TIFF, by its tags."""

    is_frame: bool  # of the scan, not a thumbnail or mask
    inverted: bool  # whether zero is white


@dataclass(frozen=True)
class Header:
    """The header of a raster file, read before anything large is allocated."""

    format: str
    width: int
    height: int
    colour: bool
    pages: tuple[Page, ...]  # of a TIFF, in file order
    sensor_bits: int | None = None  # as the file records it


def decode(data: bytes, bits: int | None, max_pixels: int) -> Picture:
    """Decode one file. `bits` is the sensor's bit depth, if the delivery states it.

    The pages of a TIFF are frames of one scan; of an animated PNG, the default image is used.
    Raises ScanRejected: empty, not_an_image, archive, unsupported_format, unsupported_compression,
    too_large, undecodable, mixed_pages, too_bright, unsupported_pixels and, for DICOM, the reasons
    of `dicom.decode`. Raises MemoryError.
    """
    if not data:
        raise ScanRejected("empty", "0 bytes; deliver the file again")
    if is_dicom(data):
        from pipeline.ingest.dicom.decode import decode as decode_dicom  # imports pydicom

        return decode_dicom(data, max_pixels)
    header = read_header(data, max_pixels)
    try:
        frames = _frames(data, header)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        frames = []
    if not frames:
        raise unread_compression(data) or ScanRejected(
            "undecodable",
            f"a {header.format} file of {len(data)} bytes that is truncated or damaged; "
            "deliver it again",
        )
    return _picture(frames, header, bits)


def _frames(data: bytes, header: Header) -> list[np.ndarray]:
    """Pixels as delivered, or an empty list if any are missing."""
    if (grey := decode_grey_png(data, header.width, header.height)) is not None:
        return [grey]
    # imdecode, not imread: imread pads truncated JPEGs, imdecode returns None for them.
    # ANYDEPTH alone means grey at the file's own depth, with the EXIF orientation applied.
    encoded = np.frombuffer(data, np.uint8)
    if len(header.pages) < 2:
        pixels, warned = _decode_with_stderr(encoded)
        missing = pixels is None or any(warning in warned for warning in INCOMPLETE)
        return [] if missing else [pixels]
    _, pages = cv2.imdecodemulti(encoded, cv2.IMREAD_ANYDEPTH)
    if len(pages) != len(header.pages):
        return []
    return [pixels for pixels, page in zip(pages, header.pages, strict=True) if page.is_frame]


def _decode_with_stderr(encoded: np.ndarray) -> tuple[np.ndarray | None, bytes]:
    """Pixels and the decoder's output on standard error. Not thread-safe."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            pixels = cv2.imdecode(encoded, cv2.IMREAD_ANYDEPTH)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        captured.seek(0)
        return pixels, captured.read()


def read_header(data: bytes, max_pixels: int) -> Header:
    """Read format, size and pages without decoding pixels. Raises ScanRejected."""
    if is_webp(data):
        return _webp_header(data, max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about sizes: refuse_large decides
            picture = Image.open(io.BytesIO(data), formats=sorted(set(FORMATS) - {"DIB", "MPO"}))
            refuse_large(picture.width, picture.height, max_pixels)
            pages = _pages(picture, max_pixels) if picture.format == "TIFF" else ()
            bits = recorded_bits(data, picture)
    except (ScanRejected, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise ScanRejected("too_large", "more pixels than any dental scan has") from None
    except Exception:  # Pillow's parsers raise many kinds for malformed headers; all mean the same
        raise _unreadable_header(data) from None
    colour = picture.mode not in GREY_MODES
    return Header(FORMATS[picture.format], picture.width, picture.height, colour, pages, bits)


def _webp_header(data: bytes, max_pixels: int) -> Header:
    found = read_webp_header(data)
    if found is None:
        raise _unreadable_header(data)
    refuse_large(found.width, found.height, max_pixels)
    if found.animated:
        raise ScanRejected(FORMAT, "an animated WebP image; export one picture as PNG or TIFF")
    # WebP has no grey pixels: even a grey scan is stored in colour.
    return Header("webp", found.width, found.height, True, ())


def _unreadable_header(data: bytes) -> ScanRejected:
    if found := unread_compression(data) or foreign_format(data):
        return found
    if is_webp(data):
        return ScanRejected("undecodable", f"a WebP file of {len(data)} bytes that is damaged")
    for signature, name in SIGNATURES.items():
        if data.startswith(signature):
            return ScanRejected(
                "undecodable",
                f"a {name} file of {len(data)} bytes whose header is truncated, damaged or of an "
                "unsupported kind (such as 12-bit or lossless JPEG); export it again",
            )
    return ScanRejected(
        "not_an_image", f"{len(data)} bytes that are not JPEG, PNG, TIFF, BMP, WebP or DICOM"
    )


def _pages(picture: Image.Image, max_pixels: int) -> tuple[Page, ...]:
    """The pages of a TIFF. Leaves `picture` at the first frame."""
    size, total, pages = None, 0, []
    for page in ImageSequence.Iterator(picture):
        total += page.width * page.height
        if total > max_pixels:
            refuse_large(page.width, total // page.width, max_pixels)
        is_frame = not page.tag_v2.get(SUBFILE_TYPE, 0) & THUMBNAIL_OR_MASK
        if is_frame:
            size = size or page.size
            if page.size != size:
                raise ScanRejected(
                    "mixed_pages",
                    f"page {len(pages) + 1} of this TIFF is {page.width} x {page.height} pixels, "
                    f"the first {size[0]} x {size[1]}; deliver one file per page",
                )
            _refuse_separate_planes(page)
        pages.append(Page(is_frame, page.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO))
    if len(pages) == 1:  # it is the scan, even if tagged as a thumbnail
        pages[0] = pages[0]._replace(is_frame=True)
    picture.seek(next((at for at, page in enumerate(pages) if page.is_frame), 0))
    return tuple(pages)


def _refuse_separate_planes(page: Image.Image) -> None:
    """Refuse separate colour planes of more than 8 bits.

    OpenCV reads them as interleaved and returns scrambled pixels without an error.
    """
    tags = page.tag_v2
    planar = tags.get(PLANAR_CONFIGURATION) == SEPARATE_PLANES and tags.get(SAMPLES, 1) > 1
    if planar and (bits := max(tags.get(BITS, (1,)))) > 8:
        raise ScanRejected(
            "unsupported_pixels",
            f"a TIFF with separate colour planes of {bits} bits; export it in greyscale, or with "
            "interleaved colours",
        )


def refuse_large(width: int, height: int, max_pixels: int) -> None:
    """Refuse a file whose header declares more than `max_pixels`."""
    if width * height > max_pixels:
        raise ScanRejected(
            "too_large",
            f"{width} x {height} pixels, at most {max_pixels} are accepted; raise `max_pixels` "
            "and `scan_memory_mb` if this is a real scan",
        )


def _picture(frames: list[np.ndarray], header: Header, delivered_bits: int | None) -> Picture:
    dtypes = {pixels.dtype for pixels in frames}
    bits_used = None
    if dtypes == {np.dtype(np.uint8)}:
        bits, bits_from = 8, "file"
    elif dtypes == {np.dtype(np.uint16)}:
        brightest = max(int(pixels.max()) for pixels in frames)
        bits_used = brightest.bit_length()
        bits, bits_from = sensor_bits(brightest, delivered_bits, header.sensor_bits)
        frames = [to_eight_bits(pixels, bits) for pixels in frames]
        # OpenCV inverts 8 bits itself, and leaves 16 as they are.
        inverted = [page.inverted for page in header.pages if page.is_frame] or [False]
        frames = [255 - each if flip else each for each, flip in zip(frames, inverted, strict=True)]
    else:
        found = " and ".join(sorted(str(dtype) for dtype in dtypes))
        raise ScanRejected(
            "unsupported_pixels",
            f"{header.format} with pixels of type {found}; 8 or 16 bits are expected",
        )
    return Picture(
        frames=tuple(frames),
        format=header.format,
        bits=bits,
        bits_from=bits_from,
        colour=header.colour,
        bits_used=bits_used,
    )
