"""DICOM objects recognised by their content and read, and the technical facts they tell.

A Part 10 file has 128 bytes, DICM and a file meta header in front. Older exports lack some or all
of that; then the first element tells how the rest is written.
"""

import io
import math
import re
import zlib
from collections.abc import Iterable

import pydicom
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import STANDARD_VR

from pipeline.errors import ScanRejected

# Imaging modalities of the standard (PS3.3 C.7.3.1.1.1). Anything else is free text that may
# name somebody, and becomes OT, the standard's word for other.
MODALITY = re.compile(
    "BI|CR|CT|DX|ECG|EPS|ES|GM|IO|IVUS|MG|MR|NM|OCT|OP|OT|PT|PX|RF|RG|RTDOSE|RTIMAGE|SC|SEG|SM|TG|"
    "US|VL|XA|XC"
)
# Directions of a row and of a column (PS3.3 C.7.6.1.1.1): anterior, posterior, right, left, head,
# foot, alone or together.
DIRECTION = re.compile("[APRLHF]{1,3}")
VRS = {str(vr).encode() for vr in STANDARD_VR}
DEFLATED, HEADER = b"1.2.840.10008.1.2.1.99", 2048  # bytes in which the transfer syntax is said
CHUNK = 1 << 20  # bytes inflated at once
BYTES_PER_PIXEL = 6  # of 16-bit colour
PER_FRAME = "PerFrameFunctionalGroupsSequence"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


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


def read(data: bytes, max_pixels: int) -> pydicom.FileDataset:
    """Read an object that holds pixels; its transfer syntax is known afterwards.

    Raises ScanRejected: no_pixels, too_large, undecodable, unsupported_transfer_syntax.
    """
    if data[:4] == b"DICM":
        data = bytes(128) + data
    if DEFLATED in data[132:HEADER]:
        _refuse_bomb(data, BYTES_PER_PIXEL * max_pixels)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        has_pixels = any(name in dataset for name in PIXELS)
    except MemoryError:
        raise
    except Exception:  # pydicom's parser raises many kinds on hostile files; all mean the same
        raise ScanRejected(
            "undecodable", f"a DICOM file of {len(data)} bytes that is truncated or damaged"
        ) from None
    if not has_pixels:
        raise ScanRejected(
            "no_pixels", "a DICOM object without pixel data, such as a report or a directory"
        )
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = _as_written(dataset)
    return dataset


def _refuse_bomb(data: bytes, limit: int) -> None:
    """pydicom inflates a deflated object in one go, and 1 MB may become 1 GB."""
    header = 144 + int.from_bytes(data[140:144], "little")  # after the group's length element
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    rest = data[header:]
    while rest and not inflater.eof and size <= limit:
        try:
            size += len(inflater.decompress(rest, CHUNK))
        except zlib.error:
            return  # damaged, as pydicom will find
        rest = inflater.unconsumed_tail
    if size > limit:
        raise ScanRejected(
            "too_large",
            f"{len(data)} bytes that inflate to more than {limit}; raise `max_pixels` if this is "
            "a real scan",
        )


def _as_written(dataset: pydicom.FileDataset) -> UID:
    """The transfer syntax of an object that does not say it, when its pixels are uncompressed."""
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        raise ScanRejected(
            "unsupported_transfer_syntax",
            "a DICOM object without transfer syntax whose pixels are compressed; "
            "export it with its file meta header",
        )
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def syntax_name(syntax: UID) -> str:
    """The standard's name of a transfer syntax, never its number: that may be a private one."""
    known = syntax.is_transfer_syntax and not syntax.is_private and syntax.name != syntax
    return syntax.name if known else "unknown"


def facts(dataset: pydicom.FileDataset) -> dict[str, str | float | None]:
    """Technical facts as fields of a Picture; none is free text but the patient, who is keyed."""
    modality = _text(dataset, "Modality")
    if modality is not None and not MODALITY.fullmatch(modality):
        modality = "OT"
    across, down = _spacing(dataset)
    return {
        "modality": modality,
        "patient": _text(dataset, "PatientID"),
        "pixel_spacing_x": across,
        "pixel_spacing_y": down,
        "orientation": _orientation(dataset),
        "transfer_syntax": syntax_name(dataset.file_meta.TransferSyntaxUID),
    }


def element_value(dataset: pydicom.Dataset, name: str, frame: int | None = None):
    """An element's value, of a frame, of the object, or of what its frames share; None if empty."""
    own = dataset.get(PER_FRAME) or ()
    groups = [own[frame]] if frame is not None and frame < len(own) else []
    if (value := _grouped(groups, name)) is not None:
        return value
    if name in dataset and dataset[name].value not in (None, ""):
        return dataset[name].value
    return _grouped(dataset.get("SharedFunctionalGroupsSequence") or (), name)


def _grouped(groups: Iterable[pydicom.Dataset], name: str):
    for group in groups:
        for macro in group:
            if macro.VR == "SQ" and macro.value and name in macro.value[0]:
                return macro.value[0][name].value
    return None


def _spacing(dataset: pydicom.FileDataset) -> tuple[float | None, float | None]:
    """Millimetres between pixels, across and down: in the patient, else on the detector."""
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            down, across = (float(value) for value in element_value(dataset, name))
        except (TypeError, ValueError):
            continue
        if all(math.isfinite(value) and value > 0 for value in (across, down)):
            return across, down
    return None, None


def _orientation(dataset: pydicom.FileDataset) -> str | None:
    """Where rows and columns point, as in L/F, when they are codes of the standard."""
    codes = dataset.get("PatientOrientation") or ()
    if isinstance(codes, str) or len(codes) != 2:
        return None
    return "/".join(codes) if all(DIRECTION.fullmatch(str(code)) for code in codes) else None


def _text(dataset: pydicom.FileDataset, name: str) -> str | None:
    value = str(dataset.get(name) or "").strip()
    return value or None
