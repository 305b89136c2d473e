"""The bit depth of a 16-bit file: what it records counts before what its values suggest."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode
from tests.builders.scans import encode

MANY = 10**8


def grey(top):
    return np.linspace(0, top, 20 * 30).astype(np.uint16).reshape(20, 30)


def with_sbit(png, *bits):
    """The PNG with an `sBIT` chunk after its header."""
    chunk = b"sBIT" + bytes(bits)
    whole = len(bits).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return png[:33] + whole + png[33:]


def tiff(pixels, **tags):
    data = io.BytesIO()
    Image.fromarray(pixels).save(
        data, "TIFF", tiffinfo={int(tag[1:]): value for tag, value in tags.items()}
    )
    return data.getvalue()


def depth(data, delivered=None):
    picture = decode(data, delivered, MANY)
    return picture.bits, picture.bits_from, int(picture.frames[0].max())


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sbit_of_a_png_and_max_sample_value_of_a_tiff_give_the_depth(bits):
    top = 2**bits - 1
    assert depth(with_sbit(encode(grey(top)), bits)) == (bits, "file", 255)
    assert depth(tiff(grey(top), t281=top)) == (bits, "file", 255)
    # A dim scan keeps its darkness.
    assert depth(with_sbit(encode(grey(top // 2)), bits)) == (bits, "file", 127)


def test_of_a_png_in_colour_the_deepest_colour_counts_and_alpha_does_not():
    colour = np.dstack([grey(1023)] * 3)
    assert depth(with_sbit(encode(colour), 9, 10, 9))[:2] == (10, "file")
    alpha = np.dstack([colour, np.full(colour.shape[:2], 65535, np.uint16)])
    assert depth(with_sbit(encode(alpha), 10, 10, 10, 16))[:2] == (10, "file")


def test_a_png_whose_values_were_scaled_up_to_16_bits_is_scaled_by_16():
    assert depth(with_sbit(encode(grey(65535)), 12)) == (16, "file", 255)


@pytest.mark.parametrize(
    "data",
    [
        with_sbit(encode(grey(16383)), 0),
        with_sbit(encode(grey(16383)), 200),
        tiff(grey(16383), t281=16100),  # of this scan, not of the sensor
        tiff(grey(16383)),
    ],
)
def test_a_depth_that_is_none_is_guessed(data):
    assert depth(data)[:2] == (16, "guessed")


def test_a_delivered_depth_counts_before_a_recorded_one():
    assert depth(with_sbit(encode(grey(1023)), 14), delivered=10)[:2] == (10, "csv")
    with pytest.raises(ScanRejected, match="a 8-bit scan"):
        depth(with_sbit(encode(grey(1023)), 14), delivered=8)


def test_an_eight_bit_file_is_read_as_before_whatever_it_records():
    pixels = np.arange(200, dtype=np.uint8).reshape(10, 20)
    picture = decode(with_sbit(encode(pixels), 4), None, MANY)
    assert (picture.bits, picture.bits_used) == (8, None)
    assert (picture.frames[0] == pixels).all()


@pytest.mark.parametrize(("top", "used"), [(0, 0), (4095, 12), (16383, 14), (65535, 16)])
def test_the_bits_that_values_need_are_noted(top, used):
    assert decode(cv2.imencode(".tif", grey(top))[1].tobytes(), None, MANY).bits_used == used
