"""Bytes in, grey 8-bit pictures out, or a rejection in words."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode
from tests.builders.scans import encode

MANY = 10**8


def ramp(height=40, width=60, top=255, dtype=np.uint8):
    return np.linspace(0, top, height * width).astype(dtype).reshape(height, width)


def tagged(tiff, tag, value, to):
    """The TIFF with another value of a tag, on its first page that has this one."""
    old, new = (struct.pack("<HHII", tag, 3, 1, number) for number in (value, to))
    assert old in tiff
    return tiff.replace(old, new, 1)


def tiff_of(*pages):
    first, *others = map(Image.fromarray, pages)
    data = io.BytesIO()
    first.save(data, "TIFF", save_all=True, append_images=others)
    return data.getvalue()


@pytest.mark.parametrize(("suffix", "format"), [(".png", "png"), (".tif", "tiff"), (".bmp", "bmp")])
def test_lossless_formats_come_out_as_they_went_in(suffix, format):
    picture = decode(encode(ramp(), suffix), None, MANY)
    assert picture.frames[0].tolist() == ramp().tolist()
    assert (picture.format, picture.bits, picture.bits_from, picture.colour) == (
        format,
        8,
        "file",
        False,
    )


def test_a_jpeg_comes_out_nearly_as_it_went_in():
    picture = decode(encode(ramp(), ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 95)), None, MANY)
    assert np.abs(picture.frames[0].astype(int) - ramp()).max() < 8
    assert picture.format == "jpeg"


def test_twelve_bits_in_sixteen_are_scaled_by_the_sensor_not_by_the_scan():
    dim = np.array([[0, 1024], [2048, 2047]], np.uint16)
    picture = decode(encode(dim), None, MANY)
    assert picture.frames[0].tolist() == [[0, 64], [128, 127]]
    assert (picture.bits, picture.bits_from) == (12, "guessed")


def test_sixteen_bits_are_recognised_by_values_that_twelve_cannot_hold():
    picture = decode(encode(np.array([[0, 65535], [32768, 4096]], np.uint16)), None, MANY)
    assert picture.frames[0].tolist() == [[0, 255], [128, 16]]
    assert picture.bits == 16


def test_bits_said_by_the_delivery_win_over_the_guess():
    picture = decode(encode(np.array([[0, 1023]], np.uint16), ".tif"), 10, MANY)
    assert picture.frames[0].tolist() == [[0, 255]]
    assert (picture.bits, picture.bits_from) == (10, "csv")


@pytest.mark.parametrize(
    ("top", "dtype", "said", "bits"),
    [
        (255, np.uint8, None, 8),
        (1023, np.uint16, 10, 10),
        (4095, np.uint16, None, 12),
        (65535, np.uint16, None, 16),
    ],
)
def test_a_tiff_whose_zero_is_white_is_inverted_within_the_range_of_its_sensor(
    top, dtype, said, bits
):
    pixels = ramp(top=top, dtype=dtype)
    upright = decode(tiff_of(pixels), said, MANY).frames[0]
    picture = decode(tagged(tiff_of(top - pixels), 262, 1, 0), said, MANY)
    assert picture.bits == bits
    assert picture.frames[0].tolist() == upright.tolist()


def test_each_page_of_a_tiff_says_itself_whether_its_zero_is_white():
    pixels = ramp(top=65535, dtype=np.uint16)
    picture = decode(tagged(tiff_of(65535 - pixels, pixels), 262, 1, 0), None, MANY)
    first, second = (frame.tolist() for frame in picture.frames)
    assert first == second == decode(tiff_of(pixels), None, MANY).frames[0].tolist()


@pytest.mark.parametrize("first", ["L", "RGB"])
def test_a_thumbnail_is_no_frame_of_a_tiff_wherever_it_stands(first):
    thumbnail = Image.fromarray(ramp(8, 12)).convert(first)
    scan, data = Image.fromarray(ramp()), io.BytesIO()
    scan.encoderinfo = {"tiffinfo": {254: 0}}
    thumbnail.save(data, "TIFF", save_all=True, append_images=[scan, scan], tiffinfo={254: 1})
    picture = decode(data.getvalue(), None, MANY)
    assert [frame.tolist() for frame in picture.frames] == [ramp().tolist()] * 2
    assert not picture.colour


def test_a_page_that_calls_itself_a_thumbnail_is_the_scan_when_it_stands_alone():
    pixels, data = ramp(top=65535, dtype=np.uint16), io.BytesIO()
    Image.fromarray(65535 - pixels).save(data, "TIFF", tiffinfo={254: 1})
    picture = decode(tagged(data.getvalue(), 262, 1, 0), None, MANY)
    assert picture.frames[0].tolist() == decode(tiff_of(pixels), None, MANY).frames[0].tolist()


def test_colour_becomes_luminance_and_is_recorded():
    blue, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    blue[..., 0] = 255
    picture = decode(encode(np.hstack([blue, white])), None, MANY)
    assert picture.colour
    assert picture.frames[0][0].tolist() == pytest.approx([29, 29, 255, 255], abs=1)


def test_colours_that_lie_apart_in_sixteen_bits_are_rejected_never_scrambled():
    colours = encode(np.dstack([ramp(top=65535, dtype=np.uint16)] * 3), ".tif")
    assert decode(colours, None, MANY).colour
    with pytest.raises(ScanRejected, match="in planes of 16 bits") as caught:
        decode(tagged(colours, 284, 1, 2), None, MANY)
    assert caught.value.reason == "unsupported_pixels"


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
    data = encode(noise, suffix, options)
    with pytest.raises(ScanRejected) as caught:
        decode(data[: len(data) * tenth // 10], None, MANY)
    assert caught.value.reason in ("undecodable", "not_an_image")


@pytest.mark.parametrize(
    ("reason", "says", "data", "bits", "limit"),
    [
        ("empty", "0 bytes", b"", None, MANY),
        ("not_an_image", "17 bytes", b"a letter, no scan", None, MANY),
        ("too_large", "60 x 40 pixels, at most 100", encode(ramp()), None, 100),
        ("too_bright", "4096 but a 12-bit", encode(np.full((2, 2), 4096, np.uint16)), 12, MANY),
        ("unsupported_pixels", "float32", encode(ramp(dtype=np.float32), ".tif"), None, MANY),
    ],
)
def test_a_rejection_names_its_reason_and_its_numbers(reason, says, data, bits, limit):
    with pytest.raises(ScanRejected, match=says) as caught:
        decode(data, bits, limit)
    assert caught.value.reason == reason
