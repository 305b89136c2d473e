"""Files that are not read are rejected by what they are, with the remedy."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode
from pipeline.ingest.icons import is_icon
from tests.builders.scans import encode, scan

MANY = 10**7
PICTURE = scan(48, 64, seed=1)


def saved(form, picture=PICTURE, mode=None, **options):
    data, image = io.BytesIO(), Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(data, form, **options)
    return data.getvalue()


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("scan.png", encode(PICTURE))
    return data.getvalue()


def tarred():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("scan.png"))
    return data.getvalue()


def media(brand):
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(100)


def rejection(data):
    with pytest.raises(ScanRejected) as caught:
        decode(data, None, MANY)
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (zipped(), "ZIP"),
        (b"PK\x05\x06" + bytes(18), "ZIP"),
        (b"Rar!\x1a\x07\x01\0" + bytes(90), "RAR"),
        (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(90), "7z"),
        (gzip.compress(encode(PICTURE)), "gzip"),
        (b"BZh91AY&SY" + bytes(90), "bzip2"),
        (b"\xfd7zXZ\0" + bytes(90), "xz"),
        (tarred(), "tar"),
    ],
)
def test_an_archive_is_named_with_its_remedy(data, name):
    reason, message = rejection(data)
    assert reason == "archive"
    assert f"{name} archive; unpack it and deliver its files" in message


@pytest.mark.parametrize(
    ("data", "name", "remedy"),
    [
        (saved("GIF"), "GIF", "export"),
        (saved("AVIF"), "AVIF", "export"),
        (media(b"heic"), "HEIC", "export"),
        (media(b"mif1"), "HEIC", "export"),
        (media(b"isom"), "video", "frames"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(90), "video", "frames"),
        (b"\xff\x0a" + bytes(90), "JPEG XL", "export"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(90), "JPEG XL", "export"),
        (saved("JPEG2000"), "JPEG 2000", "export"),
        (saved("JPEG2000", no_jp2=True), "JPEG 2000", "export"),
        (saved("PDF"), "PDF", "deliver the scans"),
        (b"\n\n%PDF-1.7" + bytes(90), "PDF", "deliver the scans"),
        (saved("ICO"), "icon", "take it out"),
        (saved("PPM"), "PNM", "export"),
        (bytes(344) + b"n+1\0" + bytes(90), "NIfTI", "slices"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "Git LFS pointer",
            "git lfs pull",
        ),
        (b"/annex/objects/SHA256E-s9--0.png\n", "git-annex pointer", "git annex get"),
        (
            saved("WEBP", save_all=True, append_images=[Image.fromarray(255 - PICTURE)]),
            "animated WebP",
            "export one picture",
        ),
    ],
)
def test_a_format_that_is_not_read_is_named_with_its_remedy(data, name, remedy):
    reason, message = rejection(data)
    assert reason == "unsupported_format"
    assert name in message
    assert remedy in message


@pytest.mark.parametrize(
    "data",
    [b"P1 is the patient", b"version 2", b"version https://example.org", b"RIFF", b"PK"],
)
def test_other_bytes_are_not_an_image(data):
    assert rejection(data)[0] == "not_an_image"


def compressed_with(code):
    """A TIFF that declares this compression; its pixels are not compressed."""
    old, new = (struct.pack("<HHII", 259, 3, 1, number) for number in (1, code))
    data = saved("TIFF")
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (saved("TIFF", compression="zstd"), "Zstandard"),
        (saved("TIFF", compression="lzma"), "LZMA"),
        (saved("TIFF", compression="zstd", big_tiff=True), "Zstandard"),
        (compressed_with(34887), "LERC"),
        (compressed_with(50001), "WebP"),
        (compressed_with(34712), "JPEG 2000"),
        (compressed_with(6), "old-style JPEG"),
        (compressed_with(65000), "method 65000"),
    ],
)
def test_a_tiff_compressed_in_a_way_that_is_not_read_names_it(data, name):
    reason, message = rejection(data)
    assert reason == "unsupported_compression"
    assert f"compressed with {name}, which is not read" in message


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "raw"])
def test_a_damaged_tiff_is_damaged_if_its_compression_is_read(compression):
    whole = saved("TIFF", compression=compression)
    assert decode(whole, None, MANY).frames[0].tolist() == PICTURE.tolist()
    assert rejection(whole[:-1000] if compression == "raw" else whole[:100])[0] == "undecodable"


def test_a_big_tiff_is_read():
    assert decode(saved("TIFF", big_tiff=True), None, MANY).frames[0].tolist() == PICTURE.tolist()


@pytest.mark.parametrize(
    ("options", "off"),
    [
        ({"lossless": True}, 0),
        ({"lossless": True, "mode": "RGBA"}, 2),
        ({"quality": 95}, 6),
        ({"quality": 95, "mode": "RGBA"}, 6),
    ],
)
def test_webp_decodes_to_the_encoded_pixels(options, off):
    picture = decode(saved("WEBP", **options), None, MANY)
    assert (picture.format, picture.bits) == ("webp", 8)
    assert np.abs(picture.frames[0].astype(int) - PICTURE).mean() <= off


def test_the_exif_orientation_of_webp_is_applied():
    exif = Image.Exif()
    exif[274] = 6
    [frame] = decode(saved("WEBP", lossless=True, exif=exif), None, MANY).frames
    assert frame.tolist() == np.rot90(PICTURE, -1).tolist()


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"mode": "RGBA"}])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_webp_is_damaged(options, tenth):
    whole = saved("WEBP", **options)
    assert rejection(whole[: len(whole) * tenth // 10])[0] == "undecodable"


def test_a_webp_with_too_many_pixels_is_not_decoded():
    data = bytearray(saved("WEBP", lossless=True))
    data[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    reason, message = rejection(bytes(data))
    assert reason == "too_large"
    assert "16384 x 16384" in message


def icon(pixels, suffix=".png"):
    data = encode(np.asarray(pixels), suffix)
    return is_icon(data, decode(data, None, MANY))


def test_tiny_coloured_pictures_are_icons_and_grey_or_larger_ones_are_not():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 200
    clear = np.dstack([scan(48, 48)] * 3 + [np.where(np.eye(48), 0, 255).astype(np.uint8)])
    assert icon(red)
    assert icon(red, ".bmp")
    assert icon(red, ".jpg")
    assert icon(red.astype(np.uint16) * 256)
    assert icon(clear)
    assert not icon(scan(64, 64))
    assert not icon(np.dstack([scan(64, 64)] * 3))
    assert not icon(np.dstack([scan(64, 64)] * 3), ".jpg")
    assert not icon(np.resize(red, (65, 65, 3)))
