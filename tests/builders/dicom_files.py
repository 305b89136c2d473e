"""DICOM files made in memory."""

import io

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian


def dicom_file(pixels, *, frames=None, codestreams=None, syntax=ExplicitVRLittleEndian, **elements):
    """A minimal DICOM file of one image, of several `frames`, or of compressed `codestreams`."""
    pixels = np.asarray(pixels)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = dataset.BitsAllocated
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames is not None:
        dataset.NumberOfFrames = len(frames)
    if codestreams is None:
        order = "<" if syntax.is_little_endian else ">"
        every = np.asarray(pixels if frames is None else frames)
        dataset.PixelData = every.astype(every.dtype.newbyteorder(order)).tobytes()
    else:
        dataset.PixelData = encapsulate(list(codestreams))
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize == 2 and codestreams is None else "OB"
    for name, value in elements.items():
        setattr(dataset, name, value)
    if "HighBit" not in elements:
        dataset.HighBit = dataset.BitsStored - 1
    data = io.BytesIO()
    pydicom.dcmwrite(data, dataset, enforce_file_format=True)
    return data.getvalue()


def edit_dicom(data, change, **options):
    """The DICOM file `data` after `change(dataset)`; `options` are those of `Dataset.save_as`."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    change(dataset)
    out = io.BytesIO()
    dataset.save_as(out, **options)
    return out.getvalue()
