"""Recognise DICOM objects by their first bytes. pydicom is not imported for it.

Its import takes 0.2 s of CPU, in the main process and in every process that decodes: a batch of
other formats does without.
"""

from typing import NamedTuple

FIRST_BYTES = 1 << 16  # hold the header of most objects
MOST_BYTES = 1 << 20  # hold one with thumbnails or private elements in front of its patient
# The value representations of the standard (PS3.5 6.2).
VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    b"US UT UV".split()
)


class DicomIdentity(NamedTuple):
    """Who an object shows, as its header names it; None for what it lacks."""

    patient_id: str | None
    name: str | None
    birth_date: str | None
    sex: str | None
    study: str | None


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are a DICOM object, with or without its preamble and file meta header."""
    if data[128:132] == b"DICM" or data[:4] == b"DICM":
        return True
    if len(data) < 16:
        return False
    little, big = (
        tuple(int.from_bytes(data[at : at + 2], order) for at in (0, 2))
        for order in ("little", "big")
    )
    # Without a file meta header (group 2), objects begin in group 8.
    if data[4:6] in VRS:
        return little[0] in (2, 8) or big[0] == 8
    length = int.from_bytes(data[4:8], "little")
    if little[0] != 8 or length % 2 or length + 16 > len(data):
        return False
    following = data[8 + length : 12 + length]
    group, element = (int.from_bytes(following[at : at + 2], "little") for at in (0, 2))
    return (8, little[1]) < (group, element) and group <= 0x7FE0
