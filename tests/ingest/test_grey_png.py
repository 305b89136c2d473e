"""Grey PNG files decode to OpenCV's pixels, and what changes those is left to OpenCV."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.ingest.grey_png import decode_grey_png
from tests.builders.scans import encode

HEIGHT, WIDTH = 37, 53
BEFORE_DATA = 33  # bytes: the signature and the header chunk


def picture(dtype=np.uint8):
    noise = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH))
    return cv2.GaussianBlur(noise.astype(dtype), (5, 5), 0)


def by_pillow(pixels, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", **options)
    return data.getvalue()


def with_chunk(data, kind, content):
    chunk = kind + content
    chunk = struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:BEFORE_DATA] + chunk + data[BEFORE_DATA:]


def by_opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH)


GREY = {
    "8 bits, by OpenCV": encode(picture()),
    "8 bits, by Pillow, with all filters": by_pillow(picture(), compress_level=9),
    "16 bits": encode(picture(np.uint16)),
    "with text, gamma and resolution": with_chunk(
        by_pillow(picture(), dpi=(300, 300)), b"gAMA", struct.pack(">I", 45455)
    ),
}


@pytest.mark.parametrize("data", GREY.values(), ids=GREY)
def test_grey_files_decode_to_the_pixels_of_opencv(data):
    pixels, expected = decode_grey_png(data, WIDTH, HEIGHT), by_opencv(data)
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(encode(picture()), b"eXIf", b"II*\0\x08\0\0\0\0\0"),
        with_chunk(encode(picture()), b"tRNS", b"\0\x07"),
        with_chunk(encode(picture()), b"acTL", struct.pack(">II", 1, 0)),
        encode(np.dstack([picture()] * 3)),
        by_pillow(picture() > 99),
        encode(picture(), ".jpg"),
    ],
    ids=["orientation", "transparency", "animation", "colour", "1 bit", "JPEG"],
)
def test_all_other_files_are_left_to_opencv(data):
    assert decode_grey_png(data, WIDTH, HEIGHT) is None
    assert by_opencv(data) is not None


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(GREY)),
    at=st.integers(BEFORE_DATA, 2000),
    length=st.integers(0, 8),
    instead=st.binary(max_size=8),
)
def test_a_damaged_file_never_has_other_pixels_than_the_intact_one(name, at, length, instead):
    intact = GREY[name]
    damaged = intact[:at] + instead + intact[at + length :]
    pixels = decode_grey_png(damaged, WIDTH, HEIGHT)
    assert pixels is None or np.array_equal(pixels, by_opencv(intact))


def test_a_truncated_file_has_no_pixels():
    data = encode(picture())
    assert decode_grey_png(data[: len(data) // 2], WIDTH, HEIGHT) is None
