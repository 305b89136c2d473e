"""Turn the bytes of one received file into a grey 8-bit picture and facts about it.

Pictures are uint8 arrays of shape (height, width), brighter meaning denser, as a person sees them
(EXIF orientation applied). Nothing here opens a file or knows about batches. A file that cannot be
used raises ScanRejected, whose words hold numbers only: they are stored.
"""

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from pipeline.errors import ScanRejected
from pipeline.ingest import dicom
from pipeline.ingest.picture import Picture, to_eight_bits

FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "TIFF": "tiff", "BMP": "bmp", "DIB": "bmp"}
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}


@dataclass(frozen=True)
class Header:
    """What a raster file's first bytes say."""

    format: str
    width: int
    height: int
    colour: bool


def decode(data: bytes, bits: int | None, max_pixels: int) -> Picture:
    """Decode one file. `bits` is what the delivery says of the sensor, if anything.

    Raises ScanRejected: empty, not_an_image, too_large, undecodable, too_bright,
    unsupported_pixels and, for DICOM, what `dicom.decode` says.
    """
    if not data:
        raise ScanRejected("empty", "0 bytes; deliver the file again")
    if dicom.is_dicom(data):
        return dicom.decode(data, max_pixels)
    header = _header(data)
    refuse_large(header.width, header.height, max_pixels)
    # imdecode, not imread: imread pads truncated JPEGs, imdecode returns None for them.
    # ANYDEPTH alone means grey at the file's own depth, with the EXIF orientation applied.
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ScanRejected(
            "undecodable",
            f"a {header.format} file of {len(data)} bytes that is truncated or damaged; "
            "deliver it again",
        )
    return _picture(pixels, header, bits)


def _header(data: bytes) -> Header:
    """Format and size from the first bytes, before anything large is allocated."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about sizes: refuse_large has its say
            picture = Image.open(io.BytesIO(data), formats=sorted(set(FORMATS) - {"DIB", "MPO"}))
    except Image.DecompressionBombError:
        raise ScanRejected("too_large", "more pixels than any dental scan has") from None
    except Exception:  # Pillow's parsers raise many kinds on hostile headers; all mean the same
        raise ScanRejected(
            "not_an_image",
            f"{len(data)} bytes that are no JPEG, PNG, TIFF, BMP or DICOM",
        ) from None
    colour = picture.mode not in GREY_MODES
    return Header(FORMATS[picture.format], picture.width, picture.height, colour)


def refuse_large(width: int, height: int, max_pixels: int) -> None:
    """A header that promises more pixels than allowed is believed, and the file refused."""
    if width * height > max_pixels:
        raise ScanRejected(
            "too_large",
            f"{width} x {height} pixels, at most {max_pixels} are taken; raise `max_pixels` "
            "if this is a real scan",
        )


def _picture(pixels: np.ndarray, header: Header, said_bits: int | None) -> Picture:
    if pixels.dtype == np.uint8:
        bits, bits_from = 8, "file"
    elif pixels.dtype == np.uint16:
        bits, bits_from = _sensor_bits(pixels, said_bits)
        pixels = to_eight_bits(pixels, bits)
    else:
        raise ScanRejected(
            "unsupported_pixels",
            f"{header.format} with pixels of type {pixels.dtype}; 8 or 16 bits are expected",
        )
    return Picture(
        frames=(pixels,),
        format=header.format,
        bits=bits,
        bits_from=bits_from,
        colour=header.colour,
    )


def _sensor_bits(pixels: np.ndarray, said: int | None) -> tuple[int, str]:
    """Bits of the sensor of a 16-bit picture: as delivered, else 12 when nothing exceeds 12."""
    brightest = int(pixels.max())
    if said is None:
        return (12 if brightest < 4096 else 16), "guessed"
    if brightest >= 2**said:
        raise ScanRejected(
            "too_bright",
            f"brightest pixel is {brightest} but a {said}-bit scan ends at {2**said - 1}; "
            "correct `bits` in the table",
        )
    return said, "csv"
