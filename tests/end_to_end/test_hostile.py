"""Damaged and hostile deliveries: every entry is accepted or rejected with the right reason."""

import io
import os
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.config import Quality, Recipe, Settings
from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import Entry, list_batch
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.read_scan import Order, read_scan
from tests.builders.dicom_files import dicom_file
from tests.builders.scans import scan

MANY = 10**8
PICTURE = scan(60, 80, seed=1)


def saved(mode="L", form="PNG", picture=PICTURE, **options):
    data = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(data, form, **options)
    return data.getvalue()


def png(*chunks):
    """A PNG file of chunks `(kind, content)`."""
    packed = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def png_of(pixels, interlaced=False):
    """uint8 grey pixels as a PNG; interlaced is Adam7, which neither OpenCV nor Pillow writes."""
    height, width = pixels.shape
    adam7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2))
    passes = (*adam7, (1, 2, 0, 1)) if interlaced else ((0, 1, 0, 1),)
    lines = b"".join(
        b"\0" + row.tobytes()
        for top, down, left, right in passes
        for row in pixels[top::down, left::right]
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, int(interlaced))
    return png((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))


def png_declaring(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return png((b"IHDR", header), (b"IDAT", b""))


def tiff_with(*pages):
    return saved(form="TIFF", save_all=True, append_images=pages)


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("scan.png", saved())
    return data.getvalue()


def jpeg_declaring(*, bits=8, height=60, width=80):
    data = saved(form="JPEG")
    start = data.index(b"\xff\xc0") + 4
    return data[:start] + struct.pack(">BHH", bits, height, width) + data[start + 5 :]


def rejection(data, limit=MANY):
    with pytest.raises(ScanRejected) as caught:
        decode(data, None, limit)
    return caught.value.reason


# Unusual but valid files.


@pytest.mark.parametrize(
    ("mode", "form", "off"),
    [
        ("LA", "PNG", 0),
        ("P", "PNG", 0),
        ("RGBA", "PNG", 1),
        ("RGBA", "TIFF", 1),
        ("CMYK", "TIFF", 1),
        ("CMYK", "JPEG", 8),
        ("YCbCr", "JPEG", 8),
        ("RGB", "BMP", 1),
    ],
)
def test_every_colour_mode_decodes_to_the_right_grey_values(mode, form, off):
    options = {"quality": 95} if form == "JPEG" else {}
    [frame] = decode(saved(mode, form, **options), None, MANY).frames
    assert np.abs(frame.astype(int) - PICTURE).max() <= off


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_one_bit_per_pixel_decodes_to_black_and_white(form):
    [frame] = decode(saved("1", form), None, MANY).frames
    assert (frame == np.array(Image.fromarray(PICTURE).convert("1")) * 255).all()


def test_an_interlaced_png_decodes_to_the_encoded_pixels():
    assert (decode(png_of(PICTURE, interlaced=True), None, MANY).frames[0] == PICTURE).all()


def test_an_animated_png_decodes_to_its_default_image():
    other = Image.fromarray(255 - PICTURE)
    data = saved(save_all=True, append_images=[other])
    assert b"acTL" in data
    assert [(frame == PICTURE).all() for frame in decode(data, None, MANY).frames] == [True]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG"])
def test_the_exif_orientation_is_applied(orientation, form):
    upright = cv2.resize(np.uint8([[0, 80, 160], [255, 200, 120]]), (60, 40), interpolation=0)
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[:, ::-1],
        7: upright[::-1, ::-1].T,
        8: upright.T[::-1],
    }
    # Delivered as the camera held it: the orientation says how to undo that.
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(form=form, picture=np.ascontiguousarray(turned[undo]), exif=exif)
    [frame] = decode(data, None, MANY).frames
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).max() < 30


def test_the_pages_of_a_tiff_are_frames_of_one_scan():
    pages = [Image.fromarray(255 - PICTURE), Image.fromarray(PICTURE // 2)]
    picture = decode(saved(form="TIFF", save_all=True, append_images=pages), None, MANY)
    assert [
        (a == b).all()
        for a, b in zip(picture.frames, [PICTURE, 255 - PICTURE, PICTURE // 2], strict=True)
    ] == [True] * 3


def test_a_thumbnail_inside_a_tiff_is_not_a_frame():
    small = Image.fromarray(PICTURE).resize((8, 6))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    picture = decode(saved(form="TIFF", save_all=True, append_images=[small]), None, MANY)
    assert [frame.shape for frame in picture.frames] == [PICTURE.shape]


@pytest.mark.parametrize(
    ("reason", "data", "limit"),
    [
        ("mixed_pages", tiff_with(Image.new("L", (9, 9))), MANY),
        ("too_large", tiff_with(*[Image.new("L", (80, 60))] * 3), 9600),
        ("undecodable", tiff_with(Image.new("L", (80, 60), 9))[:-900], MANY),
        ("unsupported_pixels", saved("F", "TIFF"), MANY),
        ("unsupported_pixels", saved("I", "TIFF"), MANY),
        ("undecodable", saved(form="JPEG")[:-2], MANY),
        ("undecodable", jpeg_declaring(bits=12), MANY),
        ("too_large", jpeg_declaring(height=60000, width=60000), MANY),
        ("undecodable", jpeg_declaring(height=9000, width=9000), MANY),
        ("too_large", png_declaring(50_000, 50_000), MANY),
        ("archive", zipped(), MANY),
        ("not_an_image", b"<!doctype html><title>Not found</title>", MANY),
        ("unsupported_format", b"GIF89a" + bytes(80), MANY),
        ("not_an_image", bytes(4096), MANY),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_scan_is_rejected_with_the_right_reason(reason, data, limit):
    assert rejection(data, limit) == reason


@pytest.mark.parametrize("form", ["jpeg", "bmp", "multi-page", "interlaced", "dicom"])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_file_truncated_at_any_tenth_is_rejected(form, tenth):
    data = {
        "jpeg": lambda: saved("CMYK", "JPEG"),
        "bmp": lambda: saved(form="BMP"),
        "multi-page": lambda: saved(
            form="TIFF", save_all=True, append_images=[Image.fromarray(255 - PICTURE)]
        ),
        "interlaced": lambda: png_of(PICTURE, interlaced=True),
        "dicom": lambda: dicom_file(PICTURE),
    }[form]()
    assert rejection(data[: len(data) * tenth // 10]) in (
        "undecodable",
        "not_an_image",
        "no_pixels",
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("tenth", range(3, 10))
def test_a_truncated_jpeg_with_an_end_marker_is_rejected(options, tenth):
    data = saved(form="JPEG", picture=scan(200, 300, seed=2), **options)
    assert rejection(data[: len(data) * tenth // 10] + b"\xff\xd9") == "undecodable"


def test_an_image_with_more_pixels_than_allowed_is_not_decoded(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    monkeypatch.setattr("pipeline.ingest.decode.decode_grey_png", None)
    bomb = png_of(np.zeros((3000, 3000), np.uint8))
    assert len(bomb) < 20_000
    assert rejection(bomb, limit=10**6) == "too_large"


# Entries of a batch folder.


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "batch").mkdir()
    return tmp_path / "batch"


def put(path: Path, data=None):
    """A file with an old time: a fresh one would be checked twice."""
    path.write_bytes(saved() if data is None else data)
    os.utime(path, (10**9, 10**9))
    return path


def outcomes(folder, follow_links=False, max_bytes=MANY):
    """The outcome of every entry of a batch, by path."""
    found = {}
    for entry in list_batch(folder, follow_links).scans:
        order = Order(
            folder, entry, Annotation(), Recipe(side=16), Quality(), MANY, max_bytes, follow_links
        )
        read = read_scan(order)
        found[os.fsdecode(entry.path)] = read.rejection.reason if read.rejection else "accepted"
    return found


def test_the_format_of_a_scan_is_recognised_by_content_not_by_name(folder):
    put(folder / "a.jpg")
    put(folder / "b.txt.docx")
    put(folder / "c", saved(form="TIFF"))
    put(folder / "d.png", dicom_file(PICTURE))
    put(folder / "e.png", zipped())
    assert list(outcomes(folder).values()) == ["accepted"] * 4 + ["archive"]


@pytest.fixture
def linked(folder):
    """A batch with links of all kinds, some into a folder outside the batch."""
    outside = folder.parent / "outside"
    outside.mkdir()
    put(outside / "theirs.png")
    put(folder / "ours.png")
    (folder / "a_file").symlink_to(outside / "theirs.png")
    (folder / "b_folder").symlink_to(outside)
    (folder / "c_inside").symlink_to("ours.png")
    (folder / "d_nowhere").symlink_to("nothing")
    (folder / "e_loop").symlink_to("e_loop")
    (folder / "f_round").symlink_to(folder)
    (outside / "on").symlink_to(folder)
    return folder


def test_links_are_rejected_unless_follow_links_is_set(linked):
    names = ["a_file", "b_folder", "c_inside", "d_nowhere", "e_loop", "f_round"]
    expected = dict.fromkeys(names, "symbolic_link") | {"ours.png": "accepted"}
    assert outcomes(linked) == expected


def test_links_are_followed_without_loops_if_follow_links_is_set(linked):
    accepted = ["a_file", "b_folder/theirs.png", "c_inside", "ours.png"]
    left = ["b_folder/on", "d_nowhere", "e_loop", "f_round"]
    expected = dict.fromkeys(accepted, "accepted") | dict.fromkeys(left, "symbolic_link")
    assert outcomes(linked, follow_links=True) == expected


def test_pipes_and_devices_are_rejected_without_opening_them(folder):
    os.mkfifo(folder / "pipe.png")
    expected = {"pipe.png": "not_a_file"}
    if os.geteuid() == 0:
        os.mknod(folder / "zero.png", 0o600 | 0o020000, os.makedev(1, 5))
        expected["zero.png"] = "not_a_file"
    assert outcomes(folder) == expected


def test_file_names_of_any_bytes_and_any_length_are_read(folder):
    put(Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe \n.png")))
    put(folder / ("n" * 251 + ".png"))
    assert list(outcomes(folder).values()) == ["accepted"] * 2


def deep(folder, depth, name):
    """Nested folders, deeper than a path in one system call can be."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("scan.png", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(file, saved())
    os.close(file)
    os.utime("scan.png", (10**9, 10**9), dir_fd=here)
    os.close(here)


def test_a_path_longer_than_the_system_limit_is_read(folder):
    deep(folder, 100, "d" * 60)
    [(path, outcome)] = outcomes(folder).items()
    assert (len(path), outcome) == (100 * 61 + len("scan.png"), "accepted")


def test_too_deeply_nested_folders_are_one_rejected_entry(folder):
    put(folder / "a.png")
    deep(folder, 300, "d")
    assert list(outcomes(folder).values()) == ["accepted", "too_deep"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change its user id")
def test_files_and_folders_without_read_permission_are_rejected():
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        folder.chmod(0o755)
        put(folder / "closed.png").chmod(0)
        put(folder / "open.png").chmod(0o644)
        (folder / "locked").mkdir(mode=0o700)
        try:
            os.seteuid(65534)
            found = outcomes(folder)
        finally:
            os.seteuid(0)
    assert found == {"closed.png": "unreadable", "locked": "unreadable", "open.png": "accepted"}


def listed(folder, name="a.png", data=None):
    facts = put(folder / name, data).stat()
    return Entry(name.encode(), facts.st_size, facts.st_mtime_ns, "file")


def became(folder, entry):
    order = Order(folder, entry, Annotation(), Recipe(side=16), Quality(), MANY, MANY, False)
    return read_scan(order).rejection.reason


def change(path):
    path.write_bytes(saved(form="BMP"))


def replace_by_link(path):
    path.rename(path.with_suffix(".old"))
    path.symlink_to(path.with_suffix(".old"))


def replace_by_pipe(path):
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (Path.unlink, "vanished"),
        (change, "changed"),
        (replace_by_link, "unreadable"),
        (replace_by_pipe, "changed"),
        (replace_by_folder, "unreadable"),
    ],
)
def test_a_file_that_changes_before_it_is_read_is_rejected_with_the_reason(folder, happens, reason):
    entry = listed(folder)
    happens(folder / "a.png")
    assert became(folder, entry) == reason


def test_a_folder_replaced_by_a_link_after_listing_is_not_followed(folder):
    (folder / "sub").mkdir()
    entry = listed(folder, "sub/a.png")
    (folder / "sub").rename(folder.parent / "elsewhere")
    (folder / "sub").symlink_to(folder.parent / "elsewhere")
    assert became(folder, entry) == "unreadable"


def test_a_folder_that_vanishes_during_listing_is_skipped(folder, monkeypatch):
    for name in ("kept", "gone"):
        (folder / name).mkdir()
        put(folder / name / "a.png")
    list_folder = os.listdir

    def and_then_one_goes(place):
        names = list_folder(place)
        if "gone" in names and (folder / "gone").exists():
            (folder / "gone" / "a.png").unlink()
            (folder / "gone").rmdir()
        return names

    monkeypatch.setattr(os, "listdir", and_then_one_goes)
    assert outcomes(folder) == {"kept/a.png": "accepted"}


def test_a_file_larger_than_a_scan_can_be_is_not_read_at_all(folder):
    put(folder / "a.png", b"")
    os.truncate(folder / "a.png", 10**12)
    os.utime(folder / "a.png", (10**9, 10**9))
    assert outcomes(folder) == {"a.png": "too_large"}


def test_a_scan_whose_decoder_runs_out_of_memory_is_rejected_with_its_scan_id(folder, monkeypatch):
    def run_out(*_):
        raise cv2.error("no room")

    monkeypatch.setattr(cv2.error, "code", cv2.Error.StsNoMem, raising=False)
    monkeypatch.setattr(cv2, "imdecode", run_out)
    scan = listed(folder, "a.jpg", saved(form="JPEG"))
    order = Order(folder, scan, Annotation(), Recipe(side=16), Quality(), MANY, MANY, False)
    read = read_scan(order)
    assert read.rejection.reason == "too_large"
    assert len(read.scan_id) == 32


def test_a_header_that_asks_for_too_much_memory_rejects_its_own_scan_only(folder):
    entries = [
        listed(folder, "a.png"),
        listed(folder, "b.jpg", jpeg_declaring(height=25_000, width=25_000)),
        listed(folder, "b.png", png_declaring(height=25_000, width=25_000)),
        listed(folder, "c.png"),
    ]
    orders = [
        Order(folder, entry, Annotation(), Recipe(side=16), Quality(), 10**12, MANY, False)
        for entry in entries
    ]
    workers = WorkerPool(1, 60, 256)
    reads = list(workers.map(read_scan, orders))
    workers.close()
    assert [read.rejection and read.rejection.reason for read in reads] == [
        None,
        "too_large",
        "too_large",
        None,
    ]
    assert reads[1].scan_id


def test_the_pixel_limit_follows_from_the_memory_limit():
    assert Settings(scan_memory_mb=4096).pixel_limit == 120_000_000
    assert Settings(scan_memory_mb=260).pixel_limit == 260 * 2**20 // 26
