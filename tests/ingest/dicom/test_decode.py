"""DICOM objects of every kind give the right grey values or the right rejection."""

import base64
import csv
import io
import os
import warnings
import zlib
from pathlib import Path

import cv2
import jpeg_ls
import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from pydicom import uid
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from pipeline.errors import ScanRejected
from pipeline.ingest.decode import decode
from pipeline.phantoms import draw_panoramic
from tests.builders.dicom_files import dicom_file, edit_dicom
from tests.builders.scans import encode

DATA = os.environ.get("DENTAL_TEST_DATA")
MANY = 10**8
RAMP = np.linspace(0, 4095, 40 * 60).astype(np.uint16).reshape(40, 60)
# 8 × 8 pixels, 65 times their number, written by OpenJPH and by libjpeg-turbo.
HTJ2K = (
    "/0//UQApQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB"
    "/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAFwAAf+TwAAmj/UFB3QA"
    "AADAABNAABMAUP4CB3QAiPIDh3QAwAATQAATgCIiAYJ0ACIpkgDDVADAACpgABWAAAAA8KpxAnUADnTAAQf+wFKB7LYA"
    "/9k="
)
JPEG_LOSSLESS = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALDAAIAAgBAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABwoM/9oACAEBAAEAAM/+"
    "goKCgoKCg0EIKCgoKCgoNBCCgoKCgoKDQQgoKCgoKCg0EIKCgoKCgoNBCCgoKCgoKDQQgoKCgoKCg0EIKCgoKCgoP//Z"
)
EIGHT = np.arange(64, dtype=np.uint16).reshape(8, 8) * 65


def decoded(data, max_pixels=MANY):
    return decode(data, None, max_pixels).frames[0]


def expected_grey(values, bits):
    return np.rint(np.asarray(values, np.float64) * 255 / (2**bits - 1)).astype(int).tolist()


def rejection(data, max_pixels=MANY):
    with pytest.raises(ScanRejected) as caught:
        decode(data, None, max_pixels)
    return caught.value


def jpeg_2000(pixels):
    return encode_array(pixels, bits_stored=12, use_mct=False, photometric_interpretation=2)


def jpeg(pixels):
    return encode(pixels, ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 95))


@pytest.mark.parametrize(
    ("syntax", "pixels", "codestream"),
    [
        (uid.ImplicitVRLittleEndian, RAMP, None),
        (uid.ExplicitVRLittleEndian, RAMP, None),
        (uid.ExplicitVRBigEndian, RAMP, None),
        (uid.DeflatedExplicitVRLittleEndian, RAMP, None),
        (uid.RLELossless, RAMP, lambda: None),
        (uid.JPEGLosslessSV1, EIGHT, lambda: base64.b64decode(JPEG_LOSSLESS)),
        (uid.JPEGLSLossless, RAMP, lambda: bytes(jpeg_ls.encode_array(RAMP))),
        (uid.JPEG2000Lossless, RAMP, lambda: jpeg_2000(RAMP)),
        (uid.HTJ2KLossless, EIGHT, lambda: base64.b64decode(HTJ2K)),
    ],
    ids=lambda value: value.name if isinstance(value, uid.UID) else "",
)
def test_every_lossless_transfer_syntax_gives_the_same_greys(syntax, pixels, codestream):
    if syntax == uid.RLELossless:
        plain = dicom_file(pixels, BitsStored=12)
        data = edit_dicom(plain, lambda dataset: dataset.compress(uid.RLELossless))
    else:
        data = dicom_file(
            pixels,
            BitsStored=12,
            syntax=syntax,
            codestreams=codestream and [codestream()],
        )
    picture = decode(data, None, MANY)
    assert picture.frames[0].tolist() == expected_grey(pixels, 12)
    assert picture.transfer_syntax == syntax.name
    assert (picture.format, picture.bits, picture.bits_from) == ("dicom", 12, "dicom")


def test_a_jpeg_inside_a_dicom_decodes_like_the_bare_jpeg():
    picture = (RAMP >> 4).astype(np.uint8)
    data = dicom_file(picture, syntax=uid.JPEGBaseline8Bit, codestreams=[jpeg(picture)])
    outside = cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded(data).tolist() == outside.tolist()


@pytest.mark.parametrize(
    ("marker", "declared"),
    [
        ("jfif", "RGB"),
        ("jfif", "YBR_FULL_422"),
        ("adobe", "RGB"),
        ("adobe", "YBR_FULL_422"),
        ("none", "YBR_FULL_422"),
    ],
)
def test_a_colour_jpeg_becomes_its_luminance_whatever_its_header_declares(marker, declared):
    # Pillow, called by pydicom, is wrong by up to 255 where an Adobe marker declares YCbCr.
    colours = cv2.resize(
        np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8), (48, 32)
    )
    stream = jpeg(colours)
    header = 4 + int.from_bytes(stream[4:6], "big")
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"
    bare = {"jfif": stream, "adobe": stream[:2] + adobe + stream[header:]}
    codestream = bare.get(marker, stream[:2] + stream[header:])
    data = dicom_file(
        colours,
        syntax=uid.JPEGBaseline8Bit,
        codestreams=[codestream],
        PhotometricInterpretation=declared,
    )
    outside = cv2.imdecode(np.frombuffer(codestream, np.uint8), cv2.IMREAD_GRAYSCALE)
    picture = decode(data, None, MANY)
    assert picture.colour
    assert np.abs(picture.frames[0].astype(int) - outside).max() <= 1


@pytest.mark.parametrize("bits", [1, 7, 8, 10, 12, 16, 24, 32])
@pytest.mark.parametrize("kind", ["u", "i"])
def test_the_least_and_greatest_value_of_any_bit_depth_are_black_and_white(bits, kind):
    if bits == 1:
        data = dicom_file(
            np.zeros((1, 8), np.uint8), BitsAllocated=1, BitsStored=1, PixelData=b"\xa0\0"
        )
        assert decoded(data).tolist() == [[0, 0, 0, 0, 0, 255, 0, 255]]
        return
    size = next(size for size in (1, 2, 4) if 8 * size >= bits)
    low = -(2 ** (bits - 1)) if kind == "i" else 0
    pixels = np.array([[low, low + 2 ** (bits - 1), low + 2**bits - 1, low]], f"{kind}{size}")
    middle = expected_grey([2 ** (bits - 1)], bits)
    assert decoded(dicom_file(pixels, BitsStored=bits)).tolist() == [[0, *middle, 255, 0]]


def test_overlay_bits_above_the_stored_ones_do_not_change_the_grey_values():
    pixels = np.array([[0, 2048, 4095]], np.uint16)
    assert decoded(dicom_file(pixels | 0xF000, BitsStored=12)).tolist() == [[0, 128, 255]]


def test_bits_stored_in_the_upper_part_of_a_word_are_shifted_down():
    pixels = np.array([[0, 2048, 4095]], np.uint16) << 4
    assert decoded(dicom_file(pixels, BitsStored=12, HighBit=15)).tolist() == [[0, 128, 255]]


def test_monochrome1_is_inverted_after_its_window():
    pixels = np.array([[0, 100, 200, 255]], np.uint8)
    data = dicom_file(pixels, PhotometricInterpretation="MONOCHROME1")
    assert decoded(data).tolist() == [[255, 155, 55, 0]]
    data = dicom_file(
        pixels, PhotometricInterpretation="MONOCHROME1", WindowCenter="50", WindowWidth="10"
    )
    assert decoded(data).tolist() == [[255, 0, 0, 0]]


def test_every_frame_uses_the_window_and_slope_of_its_functional_group():
    def group(slope, center):
        own, window, scale = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        window.WindowCenter, window.WindowWidth = center, "101"
        window.VOILUTFunction, scale.RescaleSlope = "LINEAR_EXACT", slope
        scale.RescaleIntercept = "0"
        own.FrameVOILUTSequence, own.PixelValueTransformationSequence = [window], [scale]
        return own

    frame = np.array([[0, 50, 100]], np.uint16)
    per_frame = [group("1", "50.5"), group("2", "150.5")]
    data = dicom_file(frame, frames=[frame, frame], PerFrameFunctionalGroupsSequence=per_frame)
    first, second = decode(data, None, MANY).frames
    assert first.tolist() == [[0, 126, 252]]
    assert second.tolist() == [[0, 0, 252]]


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_applied_after_the_rescale_as_by_pydicom(function):
    elements = {"VOILUTFunction": function} if function else {}
    data = dicom_file(
        RAMP,
        BitsStored=12,
        RescaleSlope="2",
        RescaleIntercept="-1024",
        WindowCenter=["1000", "1"],
        WindowWidth=["3000", "2"],
        **elements,
    )
    dataset = pydicom.dcmread(io.BytesIO(data))
    windowed = apply_voi_lut(apply_modality_lut(RAMP, dataset), dataset)
    expected = (windowed + 1024) * 255 / (2 * 4095)
    assert np.abs(decoded(data) - expected).max() <= 0.5


def test_a_window_of_zero_width_is_ignored():
    data = dicom_file(np.array([[0, 255]], np.uint8), WindowCenter="100", WindowWidth="0")
    assert decoded(data).tolist() == [[0, 255]]


@pytest.mark.parametrize("place", ["ModalityLUTSequence", "VOILUTSequence"])
def test_values_outside_a_lookup_table_get_its_first_or_last_entry(place):
    table = pydicom.Dataset()
    table.LUTDescriptor = [4, 10, 12]
    table.add_new("LUTData", "US", [4095, 2048, 1024, 0])
    data = dicom_file(np.array([[0, 10, 11, 12, 13, 255]], np.uint8), **{place: [table]})
    assert decoded(data).tolist() == [[255, 255, 128, 64, 0, 0]]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_palette_colours_become_luminance(depth, syntax):
    def channel(*values):
        whole = np.array(values) * (1 if depth == 8 else 256)
        order = "<" if syntax.is_little_endian else ">"
        return whole.astype("u1" if depth == 8 else f"{order}u2").tobytes()

    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in {
        "Red": (0, 255, 0, 9),
        "Green": (0, 0, 255, 9),
        "Blue": (0, 0, 0, 9),
    }.items():
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [4, 1, depth]
        elements[f"{name}PaletteColorLookupTableData"] = channel(*values)
    data = dicom_file(np.array([[0, 1, 2, 3, 4, 200]], np.uint8), syntax=syntax, **elements)
    picture = decode(data, None, MANY)
    assert np.abs(picture.frames[0][0].astype(int) - [0, 0, 76, 150, 9, 9]).max() <= 1
    assert picture.colour


def test_floating_point_pixels_are_scaled_by_their_window_or_their_own_range():
    def floats(dataset):
        values = np.array([[-1, 0, 3, np.nan]], np.float32)
        dataset.FloatPixelData = values.tobytes()
        del dataset.PixelData, dataset.BitsStored, dataset.HighBit

    plain = dicom_file(np.zeros((1, 4), np.uint32))
    assert decoded(edit_dicom(plain, floats)).tolist() == [[0, 64, 255, 0]]
    window = dicom_file(
        np.zeros((1, 4), np.uint32),
        WindowCenter="0",
        WindowWidth="2",
        VOILUTFunction="LINEAR_EXACT",
    )
    assert decoded(edit_dicom(window, floats)).tolist() == [[0, 128, 255, 0]]


def test_every_frame_is_decoded_whether_native_or_compressed():
    frames = [RAMP, RAMP[::-1], RAMP[:, ::-1]]
    plain = decode(dicom_file(RAMP, frames=frames, BitsStored=12), None, MANY)
    packed = decode(
        dicom_file(
            RAMP,
            frames=frames,
            BitsStored=12,
            syntax=uid.JPEG2000Lossless,
            codestreams=[jpeg_2000(np.ascontiguousarray(frame)) for frame in frames],
        ),
        None,
        MANY,
    )
    for picture in (plain, packed):
        found = [frame.tolist() for frame in picture.frames]
        assert found == [expected_grey(frame, 12) for frame in frames]


def test_only_facts_that_are_codes_or_numbers_of_the_standard_are_kept():
    values = {
        "Modality": "PX",
        "PatientOrientation": ["L", "PF"],
        "ImagerPixelSpacing": ["0.2", "0.1"],
    }
    picture = decode(dicom_file(RAMP, **values), None, MANY)
    assert (picture.modality, picture.orientation) == ("PX", "L/PF")
    assert (picture.pixel_spacing_x, picture.pixel_spacing_y) == (0.1, 0.2)
    values = {
        "Modality": "MUSTERMANN",
        "PatientOrientation": ["MUSTER", "ANNA"],
        "PixelSpacing": ["0", "1"],
    }
    picture = decode(dicom_file(RAMP, **values), None, MANY)
    assert (picture.modality, picture.orientation, picture.pixel_spacing_x) == ("OT", None, None)


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
@pytest.mark.parametrize("front", ["preamble", "prefix", "meta", "nothing"])
def test_a_dicom_is_recognised_without_preamble_prefix_or_file_meta_header(syntax, front):
    whole = dicom_file(RAMP, BitsStored=12, syntax=syntax, SOPClassUID="1.2", Modality="PX")
    meta = 144 + int.from_bytes(whole[140:144], "little")
    begin = {"preamble": 0, "prefix": 128, "meta": 132, "nothing": meta}[front]
    picture = decode(whole[begin:], None, MANY)
    assert picture.frames[0].tolist() == expected_grey(RAMP, 12)
    assert (picture.modality, picture.transfer_syntax) == ("PX", syntax.name)


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("kind", ["plain", "deflated", "rle", "jpeg", "progressive", "jls", "j2k"])
def test_a_truncated_dicom_is_rejected_never_padded(kind, tenth):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    progressive = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    syntax, stream = {
        "plain": (uid.ExplicitVRLittleEndian, None),
        "rle": (uid.ExplicitVRLittleEndian, None),
        "deflated": (uid.DeflatedExplicitVRLittleEndian, None),
        "jpeg": (uid.JPEGBaseline8Bit, jpeg(noise)),
        "progressive": (uid.JPEGBaseline8Bit, progressive),
        "jls": (uid.JPEGLSLossless, bytes(jpeg_ls.encode_array(noise))),
        "j2k": (uid.JPEG2000Lossless, jpeg_2000(noise.astype(np.uint16))),
    }[kind]
    bits = {"BitsStored": 12, "BitsAllocated": 16} if kind == "j2k" else {}
    data = dicom_file(noise, syntax=syntax, codestreams=stream and [stream], **bits)
    if kind == "rle":
        data = edit_dicom(data, lambda dataset: dataset.compress(uid.RLELossless))
    reason = rejection(data[: len(data) * tenth // 10]).reason
    assert reason in ("undecodable", "no_pixels", "not_an_image")


def small(**elements):
    return dicom_file(RAMP, BitsStored=12, **elements)


def bomb():
    data = dicom_file(RAMP, syntax=uid.DeflatedExplicitVRLittleEndian)
    header = 144 + int.from_bytes(data[140:144], "little")
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return data[:header] + deflater.compress(bytes(10**7)) + deflater.flush()


@pytest.mark.parametrize("inside", [1, 3])
@pytest.mark.parametrize(
    ("syntax", "compressed"),
    [
        (uid.JPEGBaseline8Bit, jpeg),
        (uid.JPEG2000, lambda pixels: encode_array(pixels, photometric_interpretation=0)),
        (uid.JPEGLSLossless, lambda pixels: bytes(jpeg_ls.encode_array(pixels))),
    ],
    ids=lambda value: value.name if isinstance(value, uid.UID) else "",
)
def test_a_codestream_with_other_samples_than_its_object_is_rejected(syntax, compressed, inside):
    grey = (RAMP >> 4).astype(np.uint8)
    colour = np.dstack([grey] * 3)
    codestream = compressed(colour if inside == 3 else grey)
    refused = rejection(
        dicom_file(grey if inside == 3 else colour, syntax=syntax, codestreams=[codestream])
    )
    assert f"{inside} samples per pixel in an object of {4 - inside}" in str(refused)
    assert refused.reason == "undecodable"


def three_samples_declared(kind, syntax=None):
    data = dicom_file(np.stack([RAMP >> 4] * 3, axis=-1).astype(np.uint8))

    def change(dataset):
        if syntax:
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.PhotometricInterpretation = kind

    return edit_dicom(data, change)


@pytest.mark.parametrize(
    "syntax", [None, uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless]
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"])
def test_three_samples_declared_grey_or_palette_are_rejected(kind, syntax):
    refused = rejection(three_samples_declared(kind, syntax))
    assert refused.reason == "unsupported_pixels"
    assert "with 3 samples per pixel, not one" in str(refused)


@pytest.mark.parametrize(
    ("reason", "message", "make", "limit"),
    [
        ("too_large", "60 x 40 pixels in 1 frames", small, 100),
        ("too_large", "65535 x 65535 pixels in 20 frames", lambda: small(
            Rows=65535, Columns=65535, NumberOfFrames=20), MANY),
        ("too_large", "in 1000000 frames", lambda: small(
            Rows=1, Columns=1, NumberOfFrames=1000000), MANY),
        ("too_large", "inflate to more than", bomb, 10**6),
        ("undecodable", "4800 bytes of pixels where 9600", lambda: small(NumberOfFrames=2), MANY),
        ("undecodable", "a DICOM object without Rows", lambda: edit_dicom(
            small(), lambda dataset: dataset.pop("Rows")), MANY),
        ("undecodable", "8 x 8 pixels in an object of 60 x 40", lambda: small(
            syntax=uid.HTJ2KLossless, codestreams=[base64.b64decode(HTJ2K)]), MANY),
        ("undecodable", "frame 1 of 1, compressed as `JPEG 2000", lambda: small(
            syntax=uid.JPEG2000, codestreams=[b"\xff\x4f\xff\x51broken"]), MANY),
        ("unsupported_transfer_syntax", "[Selection Value 1]) with 6 bits", lambda: dicom_file(
            EIGHT, BitsStored=6, syntax=uid.JPEGLosslessSV1, codestreams=[b"none"]), MANY),
        ("unsupported_transfer_syntax", "JPEG Extended (Process 2 and 4) with 12", lambda: small(
            syntax=uid.JPEGExtended12Bit, codestreams=[b"none"]), MANY),
        ("unsupported_transfer_syntax", "`MPEG2 Main Profile", lambda: small(
            syntax=uid.MPEG2MPML, codestreams=[b"video"]), MANY),
        ("unsupported_transfer_syntax", "`unknown`", lambda: small(
            syntax=uid.MPEG2MPML, codestreams=[b"odd"]
        ).replace(b"10008.1.2.4.100", b"99999.1.2.4.100"), MANY),
        ("undecodable", "encapsulated pixel data, as of compressed", lambda: small(
            syntax=uid.JPEG2000Lossless, codestreams=[bytes(9000)]).replace(
            b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.1" + bytes(3)), MANY),
        ("no_pixels", "without pixel data", lambda: edit_dicom(
            small(), lambda dataset: dataset.pop("PixelData")), MANY),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_rejection_has_the_right_reason_and_message(reason, message, make, limit):
    refused = rejection(make(), limit)
    assert message in str(refused)
    assert refused.reason == reason


def test_warnings_of_pydicom_become_private_notes_and_are_not_logged(caplog):
    with pytest.warns(UserWarning, match="64"):
        data = dicom_file(RAMP, PatientID="A" * 99)
    picture = decode(data, None, MANY)
    assert picture.patient == "A" * 99
    assert any("64" in note for note in picture.notes)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("modality", "syntax"),
    [
        ("PX", uid.ExplicitVRLittleEndian),
        ("DX", uid.JPEG2000Lossless),
        ("IO", uid.JPEGBaseline8Bit),
    ],
)
def test_a_panoramic_wrapped_as_dicom_keeps_its_pixels(modality, syntax):
    pixels = (draw_panoramic(3, 200).pixels >> 4).astype(np.uint8)
    assert_wrapping_keeps_pixels(pixels, modality, syntax)


@pytest.mark.skipif(DATA is None, reason="DENTAL_TEST_DATA names no folder with opg/")
def test_real_panoramics_wrapped_as_dicom_keep_their_pixels():
    files = sorted(Path(DATA or "", "opg").glob("*.jpg"))[:6]
    for number, file in enumerate(files):
        picture = decode(file.read_bytes(), None, MANY).frames[0][::2, ::2].copy()
        modality = ("PX", "IO", "DX")[number % 3]
        for syntax in (uid.ExplicitVRLittleEndian, uid.JPEG2000Lossless, uid.JPEGBaseline8Bit):
            assert_wrapping_keeps_pixels(picture, modality, syntax)


def assert_wrapping_keeps_pixels(picture, modality, syntax):
    streams, loss = None, 0
    if syntax == uid.JPEG2000Lossless:
        streams = [encode_array(picture, photometric_interpretation=2)]
    elif syntax == uid.JPEGBaseline8Bit:
        streams = [jpeg(picture)]
        loss = np.abs(
            cv2.imdecode(np.frombuffer(streams[0], np.uint8), 0).astype(int) - picture
        ).max()
    for inverted in (False, True):
        if inverted and streams:
            continue
        data = dicom_file(
            255 - picture if inverted else picture,
            syntax=syntax,
            codestreams=streams,
            Modality=modality,
            PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
        )
        found = decode(data, None, MANY)
        assert found.modality == modality
        assert np.abs(found.frames[0].astype(int) - picture).max() <= loss


@pytest.mark.skipif(DATA is None, reason="DENTAL_TEST_DATA names no folder with dicom/")
def test_real_dicom_files_have_the_pixels_of_pydicom_or_the_right_rejection():
    root = Path(DATA or "", "dicom")
    with (root / "INVENTORY.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        data = (root / row["file"]).read_bytes()
        # Twelve bits in lossy JPEG: only a decoder under the GPL reads them.
        if row["decode"].startswith("ok") and "JPGExtended" not in row["file"]:
            assert_same_as_pydicom(data, row["file"])
        else:
            expected = ["undecodable", "unsupported_transfer_syntax"]
            if row["has_pixels"] == "False":
                expected = ["no_pixels", "not_an_image"]
            assert rejection(data).reason in expected, row["file"]


def assert_same_as_pydicom(data, name):
    picture = decode(data, None, MANY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data))
        expected = grey_by_pydicom(dataset)
    frames = np.stack(picture.frames)
    expected = expected if len(frames) > 1 else expected[np.newaxis]
    difference = np.abs(frames - expected)
    # Ours is the stored luminance; pydicom's went through RGB, where colours out of range are
    # clipped.
    limit = 9 if dataset.PhotometricInterpretation.startswith("YBR_FULL") else 1
    assert difference.max() <= limit, name
    assert difference.mean() <= 0.5, name


def grey_by_pydicom(dataset):
    """The grey values, 0 to 255, that pydicom gives for an object."""
    pixels, bits = dataset.pixel_array, dataset.BitsStored
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels, bits = apply_color_lut(pixels, dataset), 16
    if pixels.shape[-1] == 3 and dataset.PhotometricInterpretation[:4] != "MONO":
        return pixels @ [0.299, 0.587, 0.114] * 255 / (2**bits - 1)
    low = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    slope = float(dataset.get("RescaleSlope") or 1)
    low = low * slope + float(dataset.get("RescaleIntercept") or 0)
    shown = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
    grey = np.clip((shown - low) * 255 / (slope * (2**bits - 1)), 0, 255)
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def test_decimal_commas_are_points_wherever_decimals_stand():
    def with_commas(dataset):
        for name, text in (
            ("WindowCenter", b"2047,5"),
            ("WindowWidth", b"1000,0"),
            ("RescaleSlope", b"0,5"),
            ("RescaleIntercept", b"-10,0"),
            ("PixelSpacing", b"0,5\\0,25"),
        ):
            tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(name))
            raw = pydicom.dataelem.RawDataElement(tag, "DS", len(text), text, 0, False, True)
            dataset[tag] = raw

    points = {"WindowCenter": 2047.5, "WindowWidth": 1000, "RescaleSlope": 0.5}
    plain = decode(
        dicom_file(RAMP, **points, RescaleIntercept=-10, PixelSpacing=[0.5, 0.25]), None, MANY
    )
    picture = decode(edit_dicom(dicom_file(RAMP), with_commas), None, MANY)
    assert (picture.frames[0] == plain.frames[0]).all()
    assert (picture.pixel_spacing_x, picture.pixel_spacing_y) == (0.25, 0.5)
    assert picture.notes == ()


@pytest.mark.parametrize("width", [b"wide", b"1.000,5", b"NaN", b"inf "])
def test_a_window_that_cannot_be_read_is_left_out_with_a_note(width):
    file = dicom_file(RAMP, BitsStored=12, WindowCenter=100, WindowWidth=1111)
    picture = decode(file.replace(b"1111", width[:4].ljust(4)), None, MANY)
    assert (picture.frames[0] == decoded(dicom_file(RAMP, BitsStored=12))).all()
    assert picture.notes[-1] == "its window cannot be read and is left out"


def test_names_of_colour_spaces_are_read_in_lower_case():
    colour = np.random.default_rng(0).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    for pixels, name in ((RAMP, "MONOCHROME1"), (RAMP, "MONOCHROME2"), (colour, "RGB")):
        upper = dicom_file(pixels, PhotometricInterpretation=name)
        for written in (name.lower(), name.capitalize()):
            lower = upper.replace(name.encode(), written.encode())
            assert lower != upper
            assert (decoded(lower) == decoded(upper)).all()


def test_colour_without_planar_configuration_is_by_pixel():
    colour = np.random.default_rng(0).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    file = dicom_file(colour)
    without = edit_dicom(file, lambda dataset: delattr(dataset, "PlanarConfiguration"))
    assert (decoded(without) == decoded(file)).all()


@pytest.mark.parametrize(
    ("dtype", "padding", "elements"),
    [
        (np.uint16, 5, {"PixelPaddingValue": 5}),
        (np.uint16, 7, {"PixelPaddingValue": 9, "PixelPaddingRangeLimit": 3}),
        (np.int16, -2000, {"PixelPaddingValue": -2000}),
        (np.int16, -2000, {"WindowCenter": 100, "WindowWidth": 50, "PixelPaddingValue": -2000}),
    ],
)
def test_padding_of_monochrome1_is_black_and_its_scan_is_inverted(dtype, padding, elements):
    pixels = np.full((6, 8), 100, dtype)
    pixels[:2] = padding
    elements = {"PhotometricInterpretation": "MONOCHROME1", **elements}
    grey = decoded(dicom_file(pixels, **elements))
    unpadded = {name: value for name, value in elements.items() if "Padding" not in name}
    assert (grey[2:] == decoded(dicom_file(pixels, **unpadded))[2:]).all()
    assert (grey[2:] > 0).all()
    assert (grey[:2] == 0).all()
    plain = elements | {"PhotometricInterpretation": "MONOCHROME2"}
    assert (255 - decoded(dicom_file(pixels, **plain))[2:] == grey[2:]).all()
