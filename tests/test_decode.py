"""Bytes in, grey 8-bit pictures out, or a rejection in words."""

import io

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode

MANY = 10**8


def ramp(height=40, width=60, top=255, dtype=np.uint8):
    return np.linspace(0, top, height * width).astype(dtype).reshape(height, width)


def encoded(pixels, suffix=".png", options=()):
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def dicom(pixels, **elements):
    """A minimal DICOM file in memory around unsigned pixels."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = dataset.BitsAllocated
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.HighBit = dataset.BitsStored - 1
    data = io.BytesIO()
    pydicom.dcmwrite(data, dataset, enforce_file_format=True)
    return data.getvalue()


@pytest.mark.parametrize(("suffix", "format"), [(".png", "png"), (".tif", "tiff"), (".bmp", "bmp")])
def test_lossless_formats_come_out_as_they_went_in(suffix, format):
    picture = decode(encoded(ramp(), suffix), None, MANY)
    assert picture.frames[0].tolist() == ramp().tolist()
    assert (picture.format, picture.bits, picture.bits_from, picture.colour) == (
        format,
        8,
        "file",
        False,
    )


def test_a_jpeg_comes_out_nearly_as_it_went_in():
    picture = decode(encoded(ramp(), ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 95)), None, MANY)
    assert np.abs(picture.frames[0].astype(int) - ramp()).max() < 8
    assert picture.format == "jpeg"


def test_twelve_bits_in_sixteen_are_scaled_by_the_sensor_not_by_the_scan():
    dim = np.array([[0, 1024], [2048, 2047]], np.uint16)
    picture = decode(encoded(dim), None, MANY)
    assert picture.frames[0].tolist() == [[0, 64], [128, 127]]
    assert (picture.bits, picture.bits_from) == (12, "guessed")


def test_sixteen_bits_are_recognised_by_values_that_twelve_cannot_hold():
    picture = decode(encoded(np.array([[0, 65535], [32768, 4096]], np.uint16)), None, MANY)
    assert picture.frames[0].tolist() == [[0, 255], [128, 16]]
    assert picture.bits == 16


def test_bits_said_by_the_delivery_win_over_the_guess():
    picture = decode(encoded(np.array([[0, 1023]], np.uint16), ".tif"), 10, MANY)
    assert picture.frames[0].tolist() == [[0, 255]]
    assert (picture.bits, picture.bits_from) == (10, "csv")


def test_colour_becomes_luminance_and_is_recorded():
    blue, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    blue[..., 0] = 255
    picture = decode(encoded(np.hstack([blue, white])), None, MANY)
    assert picture.colour
    assert picture.frames[0][0].tolist() == pytest.approx([29, 29, 255, 255], abs=1)


def test_the_exif_orientation_is_applied():
    exif, data = Image.Exif(), io.BytesIO()
    exif[274] = 6  # to be turned a quarter to the right
    Image.fromarray(ramp(40, 60)).save(data, "jpeg", exif=exif, quality=95)
    picture = decode(data.getvalue(), None, MANY)
    assert (picture.width, picture.height) == (40, 60)
    assert picture.frames[0][0, -1] < 20 < 230 < picture.frames[0][-1, 0]


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".png", ()),
        (".tif", ()),
        (".bmp", ()),
    ],
    ids=["jpeg", "progressive", "png", "tiff", "bmp"],
)
def test_a_truncated_file_is_rejected_never_padded(suffix, options, tenth):
    noise = np.random.default_rng(0).integers(0, 255, (120, 160)).astype(np.uint8)
    data = encoded(noise, suffix, options)
    with pytest.raises(ScanRejected) as caught:
        decode(data[: len(data) * tenth // 10], None, MANY)
    assert caught.value.reason in ("undecodable", "not_an_image")


@pytest.mark.parametrize(
    ("reason", "says", "data", "bits", "limit"),
    [
        ("empty", "0 bytes", b"", None, MANY),
        ("not_an_image", "17 bytes", b"a letter, no scan", None, MANY),
        ("too_large", "60 x 40 pixels, at most 100", encoded(ramp()), None, 100),
        ("too_large", "60 x 40 pixels in 1 frames", dicom(ramp()), None, 100),
        ("too_bright", "4096 but a 12-bit", encoded(np.full((2, 2), 4096, np.uint16)), 12, MANY),
        ("unsupported_pixels", "float32", encoded(ramp(dtype=np.float32), ".tif"), None, MANY),
    ],
)
def test_a_rejection_names_its_reason_and_its_numbers(reason, says, data, bits, limit):
    with pytest.raises(ScanRejected, match=says) as caught:
        decode(data, bits, limit)
    assert caught.value.reason == reason


def test_a_dicom_is_scaled_by_its_bits_stored():
    pixels = np.array([[0, 2048], [4095, 1024]], np.uint16)
    picture = decode(dicom(pixels, BitsStored=12, Modality="PX"), None, MANY)
    assert picture.frames[0].tolist() == [[0, 128], [255, 64]]
    assert (picture.format, picture.bits, picture.bits_from) == ("dicom", 12, "dicom")
    assert picture.modality == "PX"


def test_monochrome1_is_inverted_so_that_brighter_is_denser():
    pixels = np.array([[0, 255]], np.uint8)
    picture = decode(dicom(pixels, PhotometricInterpretation="MONOCHROME1"), None, MANY)
    assert picture.frames[0].tolist() == [[255, 0]]


def test_the_dicom_window_is_applied():
    pixels = np.array([[0, 1000, 1500, 2000, 4095]], np.uint16)
    window = {"WindowCenter": 1500, "WindowWidth": 1000, "BitsStored": 12}
    grey = decode(dicom(pixels, **window), None, MANY).frames[0][0]
    assert (grey[0], grey[1], grey[-1]) == (0, 0, 255)
    assert 120 < grey[2] < 135


def test_every_frame_of_a_multi_frame_dicom_is_kept():
    frames = np.stack([ramp(4, 6), 255 - ramp(4, 6)])
    data = dicom(frames[0], NumberOfFrames=2, PixelData=frames.tobytes())
    assert [frame.tolist() for frame in decode(data, None, MANY).frames] == frames.tolist()


def test_a_modality_that_is_no_code_of_the_standard_is_not_kept():
    assert decode(dicom(ramp(4, 6), Modality="MUSTERMANN"), None, MANY).modality == "OT"


def test_a_dicom_without_pixels_or_with_too_few_is_rejected():
    report = pydicom.dcmread(io.BytesIO(dicom(ramp(4, 6))))
    del report.PixelData
    data = io.BytesIO()
    report.save_as(data)
    with pytest.raises(ScanRejected) as caught:
        decode(data.getvalue(), None, MANY)
    assert caught.value.reason == "no_pixels"
    with pytest.raises(ScanRejected) as caught:
        decode(dicom(ramp(40, 60))[:-100], None, MANY)
    assert caught.value.reason == "undecodable"


def test_a_compressed_dicom_without_decoder_says_which_compression():
    data = dicom(ramp(4, 6))
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51broken"])
    dataset["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    dataset.save_as(out)
    with pytest.raises(ScanRejected, match="JPEG 2000") as caught:
        decode(out.getvalue(), None, MANY)
    assert caught.value.reason == "unsupported_transfer_syntax"
