"""Encode phantoms as the files that a clinic delivers, reproducibly.

No time, program name or random identifier is written: DICOM's UIDs are derived from the seed.
"""

from io import BytesIO

import cv2
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from pipeline.phantoms.phantom import Phantom

# Suffixes by format. Without a table, 12 bits in 16 look like a dark 16-bit scan.
SUFFIXES = {
    "jpeg": ".jpg",
    "png": ".png",
    "png-12": ".png",
    "tiff-12": ".tif",
    "tiff-16": ".tif",
    "dicom": ".dcm",
    "dicom-inverted": ".dcm",
}
TABLE_BITS = {"png-12": 12, "tiff-12": 12}  # the column `bits` for these formats


def encode(phantom: Phantom, form: str, patient: str, seed: int) -> bytes:
    """The bytes of a file of format `form`, one of SUFFIXES. Only DICOM contains the patient."""
    if form.startswith("dicom"):
        return _dicom(phantom, patient, seed, inverted=form == "dicom-inverted")
    options = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 2],
        "png-12": [cv2.IMWRITE_PNG_COMPRESSION, 2],
        "tiff-12": [cv2.IMWRITE_TIFF_COMPRESSION, 1],  # none
        "tiff-16": [cv2.IMWRITE_TIFF_COMPRESSION, 1],
    }
    _, data = cv2.imencode(SUFFIXES[form], _samples(phantom.pixels, form), options[form])
    return data.tobytes()


def _samples(pixels: np.ndarray, form: str) -> np.ndarray:
    """The 12 bits of `pixels` in the depth of the format."""
    if form in ("jpeg", "png"):
        return np.rint(pixels * (255 / 4095)).astype(np.uint8)
    # Repeating the upper bits in the lower ones maps 4095 to 65535.
    return pixels << 4 | pixels >> 8 if form == "tiff-16" else pixels


def _dicom(phantom: Phantom, patient: str, seed: int, inverted: bool) -> bytes:
    """An uncompressed DICOM file; inverted is MONOCHROME1, where 0 is white."""
    panoramic = phantom.kind == "panoramic"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = (
        DigitalXRayImageStorageForPresentation
        if panoramic
        else DigitalIntraOralXRayImageStorageForPresentation
    )
    meta.MediaStorageSOPInstanceUID = _uid("instance", seed)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid("study", seed), _uid("series", seed)
    dataset.Modality = "PX" if panoramic else "IO"
    dataset.PatientID, dataset.PatientName = patient, "PHANTOM"
    dataset.SeriesDescription = "PHANTOM - synthetic, not a patient"
    dataset.ImageComments = "Drawn by a program for demonstration and tests; shows no patient"
    dataset.StudyDate = dataset.StudyTime = dataset.PatientBirthDate = ""
    dataset.PatientSex = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.BurnedInAnnotation = "YES"  # the side marker
    _add_pixels(dataset, phantom.pixels, inverted)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _add_pixels(dataset: FileDataset, pixels: np.ndarray, inverted: bool) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    stored = 4095 - pixels if inverted else pixels
    dataset.PixelData = stored.astype("<u2").tobytes()


def _uid(purpose: str, seed: int) -> str:
    return generate_uid(entropy_srcs=["phantom", purpose, str(seed)])
