"""Read who a DICOM object shows from its first bytes, when a batch is planned.

Values stay in memory: the caller keeps keyed hashes of them. Neither a damaged nor a hostile header
may stop planning, so the bytes that are parsed are bounded, and whatever pydicom raises means that
the header cannot be read.
"""

import io
import warnings
import zlib

from pydicom.filereader import read_partial
from pydicom.tag import Tag

from pipeline.ingest.dicom.file import DEFLATED, HEADER, element_text
from pipeline.ingest.dicom_start import MOST_BYTES, DicomIdentity

# In the order of the fields of DicomIdentity.
ELEMENTS = ["PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"]
TAGS = [Tag(name) for name in ELEMENTS]
AFTER_IDENTITY = 0x0028  # the group that describes the pixels


def read_identity(data: bytes, whole: bool) -> DicomIdentity | None:
    """Return the identity in the first bytes of a DICOM object, or in all of them if `whole`.

    None when the header is damaged or goes on behind `data`.
    """
    passed = False

    def is_after(tag, vr, length) -> bool:
        nonlocal passed
        passed = passed or tag.group >= AFTER_IDENTITY
        return passed

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's may quote elements
            start = io.BytesIO(readable(data))
            dataset = read_partial(start, is_after, force=True, specific_tags=TAGS)
            identity = DicomIdentity(*(element_text(dataset, name) for name in ELEMENTS))
    except MemoryError:
        raise
    except Exception:  # pydicom's parser raises many kinds for malformed files; all mean the same
        return None
    return identity if passed or whole else None


def readable(data: bytes) -> bytes:
    """The bytes as pydicom expects them: with a preamble, and inflated as far as is parsed.

    pydicom inflates a deflated object at once, and refuses one of which the end is missing.
    """
    if data[:4] == b"DICM":
        data = bytes(128) + data
    if DEFLATED not in data[132:HEADER]:
        return data
    header = 144 + int.from_bytes(data[140:144], "little")  # after the group's length element
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[header:], MOST_BYTES)
