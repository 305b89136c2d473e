"""What a file is by its first bytes: format, size and modality, or why it will be rejected.

Nothing is decoded. A header that goes on behind these bytes leaves the size unknown.
"""

import io
import warnings
from typing import NamedTuple

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import SIGNATURES, read_header
from pipeline.ingest.dicom_start import is_dicom
from pipeline.ingest.foreign_formats import named_archive
from pipeline.ingest.list_files import suffix
from pipeline.ingest.walk_folder import Entry

MODALITY, ROWS, COLUMNS = "Modality", "Rows", "Columns"
PIXEL_GROUP = 0x0028  # describes the pixels; objects without an image lack it
DICOM = "dicom"


class ScanHeader(NamedTuple):
    """A scan's header; None for what the first bytes do not tell."""

    format: str
    width: int | None  # pixels
    height: int | None
    modality: str | None  # of DICOM

    @property
    def has_size(self) -> bool:
        return self.width is not None and self.height is not None


def scan_header(entry: Entry, start: bytes, max_pixels: int) -> ScanHeader:
    """The header of a file that begins with `start`. Raises ScanRejected for one that is no scan.

    What only decoding shows, such as a damaged end, is not noticed.
    """
    if not start:
        raise ScanRejected("empty", "0 bytes; deliver the file again")
    if is_dicom(start):
        return _dicom_header(start)
    try:
        found = read_header(start, max_pixels)
    except ScanRejected as rejection:
        if rejection.reason == "not_an_image" and (archive := named_archive(suffix(entry))):
            raise archive from None
        known = next((name for sign, name in SIGNATURES.items() if start.startswith(sign)), None)
        if rejection.reason == "undecodable" and known and entry.size > len(start):
            return ScanHeader(known.lower(), None, None, None)
        raise
    return ScanHeader(found.format, found.width, found.height, None)


def _dicom_header(start: bytes) -> ScanHeader:
    from pydicom.filereader import read_partial
    from pydicom.tag import Tag

    from pipeline.ingest.dicom.header import readable

    passed, facts = False, [Tag(name) for name in (MODALITY, ROWS, COLUMNS)]

    def is_after(tag, vr, length) -> bool:
        nonlocal passed
        passed = passed or tag.group > PIXEL_GROUP
        return passed

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's may quote elements
            data = io.BytesIO(readable(start))
            dataset = read_partial(data, is_after, force=True, specific_tags=facts)
            modality = str(dataset.get(MODALITY) or "") or None
            width, height = (int(dataset.get(name) or 0) or None for name in (COLUMNS, ROWS))
    except MemoryError:
        raise
    except Exception:  # pydicom's parser raises many kinds for malformed files; all mean the same
        return ScanHeader(DICOM, None, None, None)
    if passed and width is None:
        raise ScanRejected("no_pixels", "a DICOM object without an image, such as a report")
    return ScanHeader(DICOM, width, height, modality)
