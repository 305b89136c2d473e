"""Self-test of the image decoders of this machine, on a small generated file of every kind.

Every kind is encoded from one image with known grey values, which reveals decoders that are missing
and decoders that give wrong pixels. For DICOM transfer syntaxes that cannot be written here, only
the presence of a decoder plug-in is checked.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode

REJECTED = "rejected"
TOLERANCE = 6  # mean difference that lossy compression may cause, in grey levels of 255
HEIGHT, WIDTH = 48, 64
SYNTAXES = (
    pydicom.uid.RLELossless,
    pydicom.uid.JPEGBaseline8Bit,
    pydicom.uid.JPEGExtended12Bit,
    pydicom.uid.JPEGLossless,
    pydicom.uid.JPEGLosslessSV1,
    pydicom.uid.JPEGLSLossless,
    pydicom.uid.JPEGLSNearLossless,
    pydicom.uid.JPEG2000Lossless,
    pydicom.uid.JPEG2000,
    pydicom.uid.HTJ2KLossless,
    pydicom.uid.HTJ2KLosslessRPCL,
    pydicom.uid.HTJ2K,
)


class DecoderCheck(NamedTuple):
    """The outcome for one kind of file."""

    kind: str
    expected: str  # decoded or rejected
    got: str  # decoded, rejected or a description of the error


def check_decoders() -> list[DecoderCheck]:
    """Encode and decode one file of every kind."""
    picture = _picture()
    # OpenCV would print the errors of the broken files on the terminal.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return [
        DecoderCheck(kind, expected, _outcome(make, picture))
        for kinds, expected in ((KINDS, "decoded"), (BROKEN, REJECTED))
        for kind, make in kinds.items()
    ]


def missing_syntaxes() -> list[str]:
    """Names of DICOM transfer syntaxes that no installed plug-in decodes."""
    return [uid.name for uid in SYNTAXES if not get_decoder(uid).is_available]


def _picture() -> np.ndarray:
    """A smooth image, uint8 (HEIGHT, WIDTH), that lossy compression hardly changes."""
    row, column = np.indices((HEIGHT, WIDTH))
    return (row * 2 + column * 2 + 10).astype(np.uint8)


def _outcome(make: Callable[[np.ndarray], bytes], picture: np.ndarray) -> str:
    try:
        [frame] = decode(make(picture), None, 10**6).frames
    except ScanRejected:
        return REJECTED
    # Whatever a broken installation raises, the other kinds are still checked.
    except Exception as error:
        return f"failed with {type(error).__name__}"
    if frame.shape != picture.shape:
        return f"decoded to {frame.shape} pixels instead of {picture.shape}"
    difference = np.abs(frame.astype(int) - picture).mean()
    return (
        "decoded" if difference <= TOLERANCE else f"decoded with grey values {difference:.0f} off"
    )


def _saved(picture: np.ndarray | Image.Image, format: str, **options) -> bytes:
    data = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(data, format, **options)
    return data.getvalue()


def _rotated_by_exif(picture: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90° clockwise for display
    return _saved(np.rot90(picture).copy(), "JPEG", quality=95, exif=exif)


def _twelve_bits(picture: np.ndarray) -> np.ndarray:
    return (picture.astype(np.uint32) * 4095 // 255).astype(np.uint16)


def _dicom(picture: np.ndarray, syntax: pydicom.uid.UID | None = None) -> bytes:
    """A secondary capture of these pixels, uncompressed or compressed with `syntax`."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    wide = picture.dtype == np.uint16
    dataset.BitsAllocated, dataset.BitsStored = (16, 12) if wide else (8, 8)
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = picture.tobytes()
    if syntax == pydicom.uid.JPEGBaseline8Bit:  # pydicom has no encoder for it
        dataset.PixelData = encapsulate([_saved(picture, "JPEG", quality=95)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False)
    data = io.BytesIO()
    dataset.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _truncated(whole: bytes) -> bytes:
    return whole[: len(whole) * 6 // 10]


KINDS: dict[str, Callable[[np.ndarray], bytes]] = {
    "JPEG": lambda p: _saved(p, "JPEG", quality=95),
    "progressive JPEG": lambda p: _saved(p, "JPEG", quality=95, progressive=True),
    "colour JPEG": lambda p: _saved(Image.fromarray(p).convert("RGB"), "JPEG", quality=95),
    "CMYK JPEG": lambda p: _saved(Image.fromarray(p).convert("RGB").convert("CMYK"), "JPEG"),
    "JPEG rotated by EXIF": _rotated_by_exif,
    "PNG": lambda p: _saved(p, "PNG"),
    "PNG of 12 bits": lambda p: _saved(_twelve_bits(p), "PNG"),
    "TIFF": lambda p: _saved(p, "TIFF"),
    "TIFF of 12 bits": lambda p: _saved(_twelve_bits(p), "TIFF"),
    "TIFF, LZW": lambda p: _saved(p, "TIFF", compression="tiff_lzw"),
    "BMP": lambda p: _saved(p, "BMP"),
    "WebP": lambda p: _saved(p, "WEBP", quality=95),
    "WebP, lossless": lambda p: _saved(p, "WEBP", lossless=True),
    "DICOM": _dicom,
    "DICOM of 12 bits": lambda p: _dicom(_twelve_bits(p)),
    "DICOM, RLE": lambda p: _dicom(p, pydicom.uid.RLELossless),
    "DICOM, JPEG": lambda p: _dicom(p, pydicom.uid.JPEGBaseline8Bit),
    "DICOM, JPEG-LS": lambda p: _dicom(_twelve_bits(p), pydicom.uid.JPEGLSLossless),
    "DICOM, JPEG 2000": lambda p: _dicom(_twelve_bits(p), pydicom.uid.JPEG2000Lossless),
}
BROKEN: dict[str, Callable[[np.ndarray], bytes]] = {
    "truncated JPEG": lambda p: _truncated(KINDS["JPEG"](p)),
    "truncated progressive JPEG": lambda p: _truncated(KINDS["progressive JPEG"](p)),
    "truncated PNG": lambda p: _truncated(KINDS["PNG"](p)),
    "truncated WebP": lambda p: _truncated(KINDS["WebP"](p)),
    "truncated TIFF": lambda p: _truncated(KINDS["TIFF"](p)),
    "truncated DICOM": lambda p: _truncated(KINDS["DICOM"](p)),
    "text": lambda p: b"not an image",
}
