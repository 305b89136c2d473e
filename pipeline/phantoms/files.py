"""Encode phantoms as the files a clinic delivers. The same phantom, the same bytes.

Nothing here writes a time, a program's name or a random identifier: DICOM's come from the seed.
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

# format -> suffix; 12 bits in 16 are indistinguishable from a dark 16-bit scan without being told.
SUFFIXES = {
    "jpeg": ".jpg",
    "png": ".png",
    "png-12": ".png",
    "tiff-12": ".tif",
    "tiff-16": ".tif",
    "dicom": ".dcm",
    "dicom-inverted": ".dcm",
}
TOLD_BITS = {"png-12": 12, "tiff-12": 12}  # what a table must say about these formats


def encode(phantom: Phantom, form: str, patient: str, seed: int) -> bytes:
    """The bytes of a file of format `form`, one of SUFFIXES. Only DICOM names the patient."""
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
    # Repeating the upper bits below makes 4095 the full 65535.
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
    dataset.BurnedInAnnotation = "YES"  # a side marker
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
