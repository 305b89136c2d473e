"""DICOM files to pictures: rescale and VOI LUT applied, MONOCHROME1 inverted.

Only pixels and technical facts leave this module, and the PatientID, which the caller keys at
once. pydicom's warnings may quote elements, so they come back as private notes.
"""

import io
import re
import warnings

import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from pipeline.errors import ScanRejected
from pipeline.ingest.picture import Picture

# Imaging modalities of the standard (PS3.3 C.7.3.1.1.1). Anything else is free text that may
# name somebody, and becomes OT, the standard's word for other.
MODALITY = re.compile(
    "BI|CR|CT|DX|ECG|EPS|ES|GM|IO|IVUS|MG|MR|NM|OCT|OP|OT|PT|PX|RF|RG|SC|SM|TG|US|VL|XA|XC"
)


def is_dicom(data: bytes) -> bool:
    """Part 10 files carry DICM after a preamble of 128 bytes."""
    return data[128:132] == b"DICM"


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decode one DICOM file.

    Raises ScanRejected: no_pixels, too_large, unsupported_transfer_syntax, undecodable.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = _read(data)
        try:
            frames, bits, colour = _frames(dataset, max_pixels)
            modality, patient = _text(dataset, "Modality"), _text(dataset, "PatientID")
        except (ScanRejected, MemoryError):
            raise
        # Any element may lie about any other, and NumPy and pydicom raise many kinds then.
        except Exception as error:
            raise _damaged(error) from None
    if modality is not None and not MODALITY.fullmatch(modality):
        modality = "OT"
    notes = tuple(str(warning.message) for warning in caught)
    return Picture(frames, "dicom", bits, "dicom", colour, modality, patient, notes)


def _read(data: bytes) -> pydicom.FileDataset:
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        has_pixels = any(name in dataset for name in ("PixelData", "FloatPixelData"))
    except MemoryError:
        raise
    except Exception:  # pydicom's parser raises many kinds on hostile files; all mean the same
        raise ScanRejected(
            "undecodable", f"a DICOM file of {len(data)} bytes that is truncated or damaged"
        ) from None
    if not has_pixels:
        raise ScanRejected("no_pixels", "a DICOM object without pixel data, such as a report")
    return dataset


def _frames(
    dataset: pydicom.FileDataset, max_pixels: int
) -> tuple[tuple[np.ndarray, ...], int, bool]:
    """Grey 8-bit frames, bits stored, and whether the file was in colour."""
    pixels, count = _pixels(dataset, max_pixels)
    bits = int(dataset.BitsStored)
    palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
    frames = pixels if count > 1 else pixels[np.newaxis]
    colour = palette or frames.ndim == 4
    if colour:
        # Palettes have 8 or 16 bits of their own, whatever the bits of the numbers in them.
        top = np.iinfo(frames.dtype).max if palette else 2**bits - 1
        return tuple(_luminance(frame, top) for frame in frames), bits, True
    return tuple(_grey(frame, dataset, bits) for frame in frames), bits, False


def _pixels(dataset: pydicom.FileDataset, max_pixels: int) -> tuple[np.ndarray, int]:
    """Pixels as delivered, (rows, columns) with frames in front and RGB behind if there are any."""
    try:
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        count = int(dataset.get("NumberOfFrames") or 1)
        if rows * columns * count <= max_pixels:
            pixels = dataset.pixel_array
            if dataset.PhotometricInterpretation == "PALETTE COLOR":
                pixels = apply_color_lut(pixels, dataset)
            return pixels, count
    except NotImplementedError:
        raise _unsupported(dataset) from None
    except RuntimeError as error:
        if "missing dependencies" in str(error) or "plugin" in str(error):
            raise _unsupported(dataset) from None
        raise
    raise ScanRejected(
        "too_large",
        f"{columns} x {rows} pixels in {count} frames, at most {max_pixels} are taken; "
        "raise `max_pixels` if this is a real scan",
    )


def _unsupported(dataset: pydicom.FileDataset) -> ScanRejected:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    known = syntax.name if syntax is not None and syntax.name != syntax else "unknown"
    return ScanRejected(
        "unsupported_transfer_syntax",
        f"a DICOM file whose pixels are compressed as `{known}`, which cannot be read; "
        "export it uncompressed",
    )


def _damaged(error: Exception) -> ScanRejected:
    return ScanRejected(
        "undecodable",
        f"a DICOM file whose pixel data do not fit its description ({type(error).__name__})",
    )


def _luminance(frame: np.ndarray, top: int) -> np.ndarray:
    """RGB (rows, columns, 3) with values up to `top` as grey uint8, by ITU-R BT.601."""
    grey = frame[..., :3].astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    return np.rint(np.clip(grey * np.float32(255 / top), 0, 255)).astype(np.uint8)


def _grey(frame: np.ndarray, dataset: pydicom.FileDataset, bits: int) -> np.ndarray:
    """One frame as uint8, brighter meaning denser."""
    low, high = _range(dataset, bits)
    values = apply_voi_lut(apply_modality_lut(frame, dataset), dataset)
    if "VOILUTSequence" in dataset:
        low, high = 0, 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
    scaled = (values.astype(np.float32) - low) * np.float32(255 / (high - low))
    grey = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def _range(dataset: pydicom.FileDataset, bits: int) -> tuple[float, float]:
    """Lowest and highest value the sensor could record, after the modality LUT."""
    if "ModalityLUTSequence" in dataset:
        return 0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope = float(dataset.get("RescaleSlope") or 1)
    intercept = float(dataset.get("RescaleIntercept") or 0)
    ends = sorted((low * slope + intercept, high * slope + intercept))
    return ends[0], ends[1]


def _text(dataset: pydicom.FileDataset, name: str) -> str | None:
    value = str(dataset.get(name) or "").strip()
    return value or None
