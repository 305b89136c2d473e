"""What the first bytes of a file tell."""

import numpy as np
import pytest

from pipeline.errors import ScanRejected
from pipeline.ingest.scan_header import ScanHeader, scan_header
from pipeline.ingest.walk_folder import Entry
from tests.builders.dicom_files import dicom_file, edit_dicom
from tests.builders.scans import encode, panoramic, scan

PIXELS = 10**6


def header(data, name=b"a", size=None):
    return scan_header(Entry(name, size or len(data), 0, "file"), data, PIXELS)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
def test_format_and_size_of_a_picture(suffix):
    found = header(encode(panoramic(), suffix))
    names = {".jpg": "jpeg", ".tif": "tiff"}
    assert found == (names.get(suffix, suffix[1:]), 120, 60, None)


def test_size_and_modality_of_dicom():
    whole = dicom_file(panoramic(), Modality="PX")
    assert header(whole) == ScanHeader("dicom", 120, 60, "PX")
    assert header(whole[:600], size=len(whole)) == ScanHeader("dicom", 120, 60, "PX")
    assert header(whole[128:]).width == 120


def test_dicom_without_an_image_is_rejected():
    def report(dataset):
        for name in ("PixelData", "Rows", "Columns"):
            delattr(dataset, name)
        dataset.add_new(0x0040A040, "CS", "TEXT")

    with pytest.raises(ScanRejected, match="without an image") as caught:
        header(edit_dicom(dicom_file(scan()), report))
    assert caught.value.reason == "no_pixels"


def test_a_header_that_goes_on_behind_the_first_bytes_leaves_the_size_unknown():
    data = encode(np.tile(scan(300, 300), (2, 2)), ".tif", (259, 1))
    assert header(data[:1000], size=len(data)) == ScanHeader("tiff", None, None, None)
    assert header(data).width == 600


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", b"a.png", "empty"),
        (b"not an image at all", b"a.png", "not_an_image"),
        (b"GIF89a\1\0", b"a.png", "unsupported_format"),
        (b"PK\3\4", b"a", "archive"),
        (b"no sign of one", b"a.7z", "archive"),
        (b"\xff\xd8\xff\xe0 damaged", b"a.jpg", "undecodable"),
        (encode(np.zeros((1001, 1000), np.uint8)), b"a.png", "too_large"),
    ],
)
def test_files_that_are_no_scans_are_rejected_with_the_reason_of_decoding(data, name, reason):
    with pytest.raises(ScanRejected) as caught:
        header(data, name, size=len(data) or 0)
    assert caught.value.reason == reason
