"""Recognise and read DICOM objects, and extract their technical facts.

A Part 10 file begins with a preamble of 128 bytes, the prefix DICM and a file meta header. Older
exports lack some or all of these; then the first element shows how the rest is encoded.
"""

import io
import math
import re
import zlib
from collections.abc import Iterable

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.hooks import hooks, raw_element_value
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipeline.errors import ScanRejected

# Imaging modalities of the standard (PS3.3 C.7.3.1.1.1). Anything else is free text that may
# contain a name, and becomes OT, the standard's code for other.
MODALITY = re.compile(
    "BI|CR|CT|DX|ECG|EPS|ES|GM|IO|IVUS|MG|MR|NM|OCT|OP|OT|PT|PX|RF|RG|RTDOSE|RTIMAGE|SC|SEG|SM|TG|"
    "US|VL|XA|XC"
)
# Directions of a row and of a column (PS3.3 C.7.6.1.1.1): anterior, posterior, right, left, head,
# foot, alone or combined.
DIRECTION = re.compile("[APRLHF]{1,3}")
DEFLATED, HEADER = b"1.2.840.10008.1.2.1.99", 2048  # bytes that hold the transfer syntax
CHUNK = 1 << 20  # bytes inflated at once
BYTES_PER_PIXEL = 6  # 16-bit colour
PER_FRAME = "PerFrameFunctionalGroupsSequence"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def decimal_points(raw: RawDataElement, data: dict, **options) -> None:
    """Convert an element as pydicom does, with decimal commas of decimal strings read as points.

    The standard has points alone; software under a European locale writes 0,5.
    """
    if data["VR"] == "DS" and raw.value and b"," in raw.value:
        values = [
            # With both, the comma may separate thousands or values: not for us to decide.
            value.replace(b",", b".") if value.count(b",") == 1 and b"." not in value else value
            for value in raw.value.split(b"\\")
        ]
        raw = raw._replace(value=b"\\".join(values))
    raw_element_value(raw, data, **options)


# Elements are converted when they are first used, those of sequences too, always through this.
hooks.register_callback("raw_element_value", decimal_points)


def read(data: bytes, max_pixels: int) -> pydicom.FileDataset:
    """Read an object with pixel data; its transfer syntax is set afterwards.

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
    except Exception:  # pydicom's parser raises many kinds for malformed files; all mean the same
        raise ScanRejected(
            "undecodable", f"a DICOM file of {len(data)} bytes that is truncated or damaged"
        ) from None
    if not has_pixels:
        raise ScanRejected(
            "no_pixels", "a DICOM object without pixel data, such as a report or a directory"
        )
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = _native_syntax(dataset)
    _correct_pixel_module(dataset)
    return dataset


def _correct_pixel_module(dataset: pydicom.FileDataset) -> None:
    """Correct what devices write wrongly and what can be meant in one way only."""
    photometric = dataset.get("PhotometricInterpretation")
    if isinstance(photometric, str) and photometric != photometric.strip().upper():
        dataset.PhotometricInterpretation = photometric.strip().upper()
    # Without it, colours are by pixel (0), the first of its two values and by far the more common.
    if dataset.get("SamplesPerPixel") == 3 and dataset.get("PlanarConfiguration") not in (0, 1):
        dataset.PlanarConfiguration = 0


def _refuse_bomb(data: bytes, limit: int) -> None:
    """Refuse a deflated object that inflates to more than `limit` bytes.

    pydicom inflates the whole object at once, and 1 MB may become 1 GB.
    """
    header = 144 + int.from_bytes(data[140:144], "little")  # after the group's length element
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    rest = data[header:]
    while rest and not inflater.eof and size <= limit:
        try:
            size += len(inflater.decompress(rest, CHUNK))
        except zlib.error:
            return  # damaged; pydicom reports it
        rest = inflater.unconsumed_tail
    if size > limit:
        raise ScanRejected(
            "too_large",
            f"{len(data)} bytes that inflate to more than {limit}; raise `max_pixels` if this is "
            "a real scan",
        )


def _native_syntax(dataset: pydicom.FileDataset) -> UID:
    """The transfer syntax of an object without one, whose pixels must be uncompressed."""
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
    """The standard's name of a transfer syntax, never its UID, which may be private."""
    known = syntax.is_transfer_syntax and not syntax.is_private and syntax.name != syntax
    return syntax.name if known else "unknown"


def technical_facts(dataset: pydicom.FileDataset) -> dict[str, str | float | None]:
    """Technical facts as fields of a Picture; the PatientID is the only free text."""
    modality = element_text(dataset, "Modality")
    if modality is not None and not MODALITY.fullmatch(modality):
        modality = "OT"
    across, down = _spacing(dataset)
    return {
        "modality": modality,
        "patient": element_text(dataset, "PatientID"),
        "pixel_spacing_x": across,
        "pixel_spacing_y": down,
        "orientation": _orientation(dataset),
        "transfer_syntax": syntax_name(dataset.file_meta.TransferSyntaxUID),
    }


def element_value(dataset: pydicom.Dataset, name: str, frame: int | None = None):
    """An element's value for a frame: its own, the object's or the shared one; None if empty."""
    per_frame = dataset.get(PER_FRAME) or ()
    groups = [per_frame[frame]] if frame is not None and frame < len(per_frame) else []
    if (value := _in_functional_groups(groups, name)) is not None:
        return value
    if name in dataset and dataset[name].value not in (None, ""):
        return dataset[name].value
    return _in_functional_groups(dataset.get("SharedFunctionalGroupsSequence") or (), name)


def _in_functional_groups(groups: Iterable[pydicom.Dataset], name: str):
    for group in groups:
        for macro in group:
            if macro.VR == "SQ" and macro.value and name in macro.value[0]:
                return macro.value[0][name].value
    return None


def _spacing(dataset: pydicom.FileDataset) -> tuple[float | None, float | None]:
    """Pixel spacing in millimetres, across and down: in the patient, else at the detector."""
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            down, across = (float(value) for value in element_value(dataset, name))
        except (TypeError, ValueError):
            continue
        if all(math.isfinite(value) and value > 0 for value in (across, down)):
            return across, down
    return None, None


def _orientation(dataset: pydicom.FileDataset) -> str | None:
    """Directions of rows and columns, such as L/F, if they are codes of the standard."""
    codes = dataset.get("PatientOrientation") or ()
    if isinstance(codes, str) or len(codes) != 2:
        return None
    return "/".join(codes) if all(DIRECTION.fullmatch(str(code)) for code in codes) else None


def element_text(dataset: pydicom.Dataset, name: str) -> str | None:
    """Return an element's value as text; None if it is missing or empty."""
    value = str(dataset.get(name) or "").strip()
    return value or None
