"""Decode raster files to 8-bit greyscale, or reject them with reason and message."""

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
    """The TIFF with one value of a tag replaced, on the first page that has it."""
    old, new = (struct.pack("<HHII", tag, 3, 1, number) for number in (value, to))
    assert old in tiff
    return tiff.replace(old, new, 1)


def tiff_of(*pages):
    first, *others = map(Image.fromarray, pages)
    data = io.BytesIO()
    first.save(data, "TIFF", save_all=True, append_images=others)
    return data.getvalue()


@pytest.mark.parametrize(("suffix", "format"), [(".png", "png"), (".tif", "tiff"), (".bmp", "bmp")])
def test_lossless_formats_decode_to_the_encoded_pixels(suffix, format):
    picture = decode(encode(ramp(), suffix), None, MANY)
    assert picture.frames[0].tolist() == ramp().tolist()
    assert (picture.format, picture.bits, picture.bits_from, picture.colour) == (
        format,
        8,
        "file",
        False,
    )


def test_a_jpeg_decodes_to_nearly_the_encoded_pixels():
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


def test_a_delivered_bit_depth_takes_precedence_over_the_guess():
    picture = decode(encode(np.array([[0, 1023]], np.uint16), ".tif"), 10, MANY)
    assert picture.frames[0].tolist() == [[0, 255]]
    assert (picture.bits, picture.bits_from) == (10, "csv")


@pytest.mark.parametrize(
    ("top", "dtype", "delivered", "bits"),
    [
        (255, np.uint8, None, 8),
        (1023, np.uint16, 10, 10),
        (4095, np.uint16, None, 12),
        (65535, np.uint16, None, 16),
    ],
)
def test_a_white_is_zero_tiff_is_inverted_within_the_bit_depth_of_its_sensor(
    top, dtype, delivered, bits
):
    pixels = ramp(top=top, dtype=dtype)
    plain = decode(tiff_of(pixels), delivered, MANY).frames[0]
    picture = decode(tagged(tiff_of(top - pixels), 262, 1, 0), delivered, MANY)
    assert picture.bits == bits
    assert picture.frames[0].tolist() == plain.tolist()


def test_white_is_zero_is_read_for_each_page_of_a_tiff():
    pixels = ramp(top=65535, dtype=np.uint16)
    picture = decode(tagged(tiff_of(65535 - pixels, pixels), 262, 1, 0), None, MANY)
    first, second = (frame.tolist() for frame in picture.frames)
    assert first == second == decode(tiff_of(pixels), None, MANY).frames[0].tolist()


@pytest.mark.parametrize("first", ["L", "RGB"])
def test_a_thumbnail_page_of_a_tiff_is_not_a_frame_even_if_it_comes_first(first):
    thumbnail = Image.fromarray(ramp(8, 12)).convert(first)
    scan, data = Image.fromarray(ramp()), io.BytesIO()
    scan.encoderinfo = {"tiffinfo": {254: 0}}
    thumbnail.save(data, "TIFF", save_all=True, append_images=[scan, scan], tiffinfo={254: 1})
    picture = decode(data.getvalue(), None, MANY)
    assert [frame.tolist() for frame in picture.frames] == [ramp().tolist()] * 2
    assert not picture.colour


def test_the_only_page_of_a_tiff_is_the_scan_even_if_tagged_as_a_thumbnail():
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


def test_separate_colour_planes_of_sixteen_bits_are_rejected():
    colours = encode(np.dstack([ramp(top=65535, dtype=np.uint16)] * 3), ".tif")
    assert decode(colours, None, MANY).colour
    with pytest.raises(ScanRejected, match="separate colour planes of 16 bits") as caught:
        decode(tagged(colours, 284, 1, 2), None, MANY)
    assert caught.value.reason == "unsupported_pixels"


def test_the_exif_orientation_is_applied():
    exif, data = Image.Exif(), io.BytesIO()
    exif[274] = 6  # to be rotated by 90° clockwise for display
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
    ("reason", "message", "data", "bits", "limit"),
    [
        ("empty", "0 bytes", b"", None, MANY),
        ("not_an_image", "17 bytes", b"a letter, no scan", None, MANY),
        ("too_large", "60 x 40 pixels, at most 100", encode(ramp()), None, 100),
        ("too_bright", "4096 but a 12-bit", encode(np.full((2, 2), 4096, np.uint16)), 12, MANY),
        ("unsupported_pixels", "float32", encode(ramp(dtype=np.float32), ".tif"), None, MANY),
    ],
)
def test_a_rejection_has_its_reason_and_the_numbers_in_its_message(
    reason, message, data, bits, limit
):
    with pytest.raises(ScanRejected, match=message) as caught:
        decode(data, bits, limit)
    assert caught.value.reason == reason
