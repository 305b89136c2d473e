"""Recognise files that are not read, by their first bytes or name, and name the remedy.

One row a format. Nothing here decodes; a file that cannot be named is not the business of this
module.
"""

import io
import re
import warnings
from typing import NamedTuple

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from pipeline.errors import ScanRejected

ARCHIVE, FORMAT, COMPRESSION = "archive", "unsupported_format", "unsupported_compression"
UNPACK = "unpack it and deliver its files"
EXPORT = "export it as PNG, TIFF, JPEG or DICOM"


class Foreign(NamedTuple):
    """One format that is not read."""

    start: bytes  # a regular expression for the first bytes
    name: str
    remedy: str
    reason: str = FORMAT


def _box(brands: bytes) -> bytes:
    """The start of an ISO media file of one of these brands."""
    return rb".{4}ftyp(" + brands + rb")"


# The first row that matches counts.
FOREIGN = (
    Foreign(rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a ZIP archive", UNPACK, ARCHIVE),
    Foreign(rb"Rar!\x1a\x07", "a RAR archive", UNPACK, ARCHIVE),
    Foreign(rb"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK, ARCHIVE),
    Foreign(rb"\x1f[\x8b\x9d]", "a gzip archive", UNPACK, ARCHIVE),
    Foreign(rb"BZh[1-9]", "a bzip2 archive", UNPACK, ARCHIVE),
    Foreign(rb"\xfd7zXZ\0", "an xz archive", UNPACK, ARCHIVE),
    Foreign(rb"\x28\xb5\x2f\xfd", "a Zstandard archive", UNPACK, ARCHIVE),
    Foreign(rb"MSCF\0", "a CAB archive", UNPACK, ARCHIVE),
    Foreign(rb".{257}ustar", "a tar archive", UNPACK, ARCHIVE),
    Foreign(rb".{32769}CD001", "a disc image", "copy the files out of it", ARCHIVE),
    Foreign(rb"GIF8[79]a", "a GIF image", EXPORT),
    Foreign(_box(rb"avi[fs]"), "an AVIF image", EXPORT),
    Foreign(_box(rb"he[iv][cmsx]|mif1|msf1"), "a HEIC image", EXPORT),
    Foreign(_box(rb""), "a video", "export the frames that are scans as PNG"),
    Foreign(rb"RIFF.{4}AVI |\x1aE\xdf\xa3", "a video", "export the frames that are scans as PNG"),
    Foreign(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image", EXPORT),
    Foreign(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image", EXPORT),
    Foreign(rb"II\xbc\x01", "a JPEG XR image", EXPORT),
    Foreign(rb"8BPS\0", "a Photoshop image", EXPORT),
    Foreign(rb"\0\0\x01\0.{6}", "an icon file", "take it out of the folder"),
    Foreign(rb"P[1-7]\s+[#\d]", "a PNM image", EXPORT),
    Foreign(rb".{344}n(\+|i)[12]\0", "a NIfTI volume", "export its slices as DICOM or PNG"),
    Foreign(rb"NRRD000", "an NRRD volume", "export its slices as DICOM or PNG"),
    Foreign(
        rb".{0,1000}%PDF-", "a PDF document", "deliver the scans that it was made of, or " + EXPORT
    ),
    Foreign(
        rb"version https://git-lfs", "a Git LFS pointer, not the file", "fetch it: git lfs pull"
    ),
    Foreign(
        rb"/annex/objects/|\.\./.{0,200}/annex/objects/",
        "a git-annex pointer, not the file",
        "fetch it: git annex get",
    ),
)
_STARTS = [(re.compile(each.start, re.DOTALL), each) for each in FOREIGN]

ARCHIVE_SUFFIXES = {
    b".zip": "a ZIP archive",
    b".rar": "a RAR archive",
    b".7z": "a 7z archive",
    b".tar": "a tar archive",
    b".gz": "a gzip archive",
    b".tgz": "a gzip archive",
    b".bz2": "a bzip2 archive",
    b".tbz": "a bzip2 archive",
    b".xz": "an xz archive",
    b".txz": "an xz archive",
    b".zst": "a Zstandard archive",
    b".iso": "a disc image",
}

# What the tag Compression of a TIFF means. OpenCV reads the first line's, and no others.
TIFF_COMPRESSION = 259
READ_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
COMPRESSIONS = {
    6: "old-style JPEG",
    9: "JBIG",
    10: "JBIG",
    32766: "NeXT",
    32771: "CCITT RLE",
    32809: "ThunderScan",
    32909: "PixarLog",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGILog",
    34677: "SGILog",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    34934: "JPEG XR",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


def foreign_format(data: bytes) -> ScanRejected | None:
    """The rejection of a file in one of these formats, with its remedy; None for any other."""
    for start, found in _STARTS:
        if start.match(data):
            return ScanRejected(found.reason, f"{found.name}; {found.remedy}")
    return None


def named_archive(suffix: bytes) -> ScanRejected | None:
    """The rejection of a file that is an archive by its suffix; None for any other."""
    name = ARCHIVE_SUFFIXES.get(suffix)
    return name and ScanRejected(ARCHIVE, f"{name} by its name; {UNPACK}")


def unread_compression(data: bytes) -> ScanRejected | None:
    """The rejection of a TIFF that is compressed in a way that is not read; None for any other."""
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about what is missing
            directory = ImageFileDirectory_v2(data[: 16 if data[2:4] in (b"+\0", b"\0+") else 8])
            file = io.BytesIO(data)
            file.seek(directory.next)
            directory.load(file)
            code = directory.get(TIFF_COMPRESSION, 1)
    # Pillow's parsers raise many kinds for malformed files; such a file is damaged.
    except Exception:
        return None
    if code in READ_COMPRESSIONS:
        return None
    name = COMPRESSIONS.get(code, f"method {code}")
    return ScanRejected(
        COMPRESSION,
        f"a TIFF file compressed with {name}, which is not read; export it uncompressed, or with "
        "LZW or Deflate",
    )
