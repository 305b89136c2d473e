"""Stored pixel values of a DICOM object, frame by frame, by the right decoder plug-in."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder

from pipeline.errors import ScanRejected
from pipeline.ingest.dicom.codestreams import Codestream, read_codestream
from pipeline.ingest.dicom.file import PIXELS, syntax_name

# pydicom's plug-ins by name, best first; the next is tried when one fails. Compared on lossless
# images of 2 to 24 bits, signed and unsigned, grey and colour: all were exact. But GDCM refuses
# JPEG-LS of 6 and 7 bits and may crash the process, so it comes last. Other installed plug-ins are
# not used: pylibjpeg-libjpeg returns an image for a truncated file.
JPEG_2000 = ("pylibjpeg", "pillow", "gdcm")
PLUGINS = {
    uid.JPEGBaseline8Bit: ("pillow", "gdcm"),
    uid.JPEGExtended12Bit: ("pillow", "gdcm"),
    uid.JPEGLossless: ("gdcm",),
    uid.JPEGLosslessSV1: ("gdcm",),
    uid.JPEGLSLossless: ("pyjpegls", "gdcm"),
    uid.JPEGLSNearLossless: ("pyjpegls", "gdcm"),
    uid.JPEG2000Lossless: JPEG_2000,
    uid.JPEG2000: JPEG_2000,
    uid.HTJ2KLossless: ("pylibjpeg",),
    uid.HTJ2KLosslessRPCL: ("pylibjpeg",),
    uid.HTJ2K: ("pylibjpeg",),
    uid.RLELossless: ("pydicom",),
}
JPEG = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}  # lossy, with possible colour transform
# The bit depths that Pillow and GDCM decode; GDCM crashes the process on fewer.
JPEG_BITS = {
    uid.JPEGExtended12Bit: (8,),
    uid.JPEGLossless: range(8, 17),
    uid.JPEGLosslessSV1: range(8, 17),
}
NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
}
REQUIRED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
# Every frame costs a crop, however small it is, so a million frames of one pixel count for more.
MIN_FRAME_COST = 65_536  # pixels


def frames_of(dataset: pydicom.FileDataset, max_pixels: int) -> Iterator[tuple[np.ndarray, str]]:
    """Yield each frame as stored, (rows, columns) or (rows, columns, 3), and its colour space.

    Raises ScanRejected: too_large, unsupported_transfer_syntax, unsupported_pixels, undecodable.
    """
    count = _count(dataset, max_pixels)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in NATIVE:
        _refuse_short(dataset, count, syntax)
        return _native(dataset, count)
    if syntax not in PLUGINS:
        raise _unsupported(syntax_name(syntax))
    bits = int(dataset.BitsStored)
    if bits not in JPEG_BITS.get(syntax, (bits,)):
        raise _unsupported(f"{syntax_name(syntax)} with {bits} bits")
    stream = _codestream(dataset, count)
    return _decoded(dataset, count, stream)


def _count(dataset: pydicom.FileDataset, max_pixels: int) -> int:
    """The number of frames, unless all of them together are too large."""
    missing = [name for name in REQUIRED if dataset.get(name) in (None, "")]
    if missing:
        raise ScanRejected(
            "undecodable", f"a DICOM object without {', '.join(missing)}; export it again"
        )
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)
    count = int(dataset.get("NumberOfFrames") or 1)
    if min(rows, columns, samples, count) < 1:
        raise ScanRejected("undecodable", f"{columns} x {rows} pixels in {count} frames")
    frame = rows * columns * samples
    if max(frame, MIN_FRAME_COST if count > 1 else 0) * count > max_pixels:
        raise ScanRejected(
            "too_large",
            f"{columns} x {rows} pixels in {count} frames, at most {max_pixels} are accepted; "
            "raise `max_pixels` if this is a real scan",
        )
    return count


def _refuse_short(dataset: pydicom.FileDataset, count: int, syntax: uid.UID) -> None:
    """Refuse uncompressed pixels that are in fragments or shorter than the header implies."""
    bits = int(dataset.BitsAllocated) * int(dataset.SamplesPerPixel)
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their colours
    expected = -(-int(dataset.Rows) * int(dataset.Columns) * count * bits // 8)
    [pixels] = [dataset[name] for name in PIXELS if name in dataset]
    if pixels.is_undefined_length:
        raise ScanRejected(
            "undecodable",
            "encapsulated pixel data, as of compressed images, although "
            f"`{syntax_name(syntax)}` is uncompressed; export it again",
        )
    found = len(pixels.value)
    if found < expected:
        raise ScanRejected(
            "undecodable",
            f"{found} bytes of pixels where {expected} are expected: truncated, or the header is "
            "wrong; deliver it again",
        )


def _native(dataset: pydicom.FileDataset, count: int) -> Iterator[tuple[np.ndarray, str]]:
    # Older devices store 12 bits in the upper part of 16; pydicom would drop the upper ones.
    high, stored = (int(dataset.get(name) or 0) for name in ("HighBit", "BitsStored"))
    shift = high + 1 - stored if stored and high + 1 <= dataset.BitsAllocated else 0
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    found = decoder.iter_array(dataset, raw=True, correct_unused_bits=shift <= 0)
    for frame, facts in islice(found, count):
        yield frame >> shift if shift > 0 else frame, str(facts["photometric_interpretation"])


def _codestream(dataset: pydicom.FileDataset, count: int) -> Codestream | None:
    """The header of the first frame. All frames must have the object's size and samples."""
    first = None
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    for stream in islice((read_codestream(frame) for frame in frames), count):
        first = first or stream
        if stream and (stream.width, stream.height) != (dataset.Columns, dataset.Rows):
            raise ScanRejected(
                "undecodable",
                f"a codestream of {stream.width} x {stream.height} pixels in an object of "
                f"{int(dataset.Columns)} x {int(dataset.Rows)}: damaged; deliver it again",
            )
        if stream and stream.samples != dataset.SamplesPerPixel:
            raise ScanRejected(
                "undecodable",
                f"a codestream of {stream.samples} samples per pixel in an object of "
                f"{int(dataset.SamplesPerPixel)}: the header is wrong; export it again",
            )
    return first


def _decoded(
    dataset: pydicom.FileDataset, count: int, stream: Codestream | None
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield frames from the first plug-in that works; when it fails, the next one continues."""
    syntax = dataset.file_meta.TransferSyntaxUID
    plugins, colour_space = PLUGINS[syntax], None
    if syntax in JPEG and int(dataset.SamplesPerPixel) > 1:
        # Pillow returns RGB for YCbCr with an Adobe marker, and pydicom takes it for YCbCr: wrong
        # by up to 255. GDCM leaves colours as they were stored.
        plugins, colour_space = ("gdcm",), stream and stream.colour_space
    decoder, done = get_decoder(syntax), 0
    for plugin in plugins:
        frames = decoder.iter_array(dataset, raw=True, decoding_plugin=plugin)
        try:
            for frame, facts in islice(frames, done, count):
                yield frame, colour_space or str(facts["photometric_interpretation"])
                done += 1
        except MemoryError:
            raise
        except Exception:  # C code on malformed bytes raises many kinds; the next may do better
            continue
        if done == count:
            return
    raise ScanRejected(
        "undecodable",
        f"frame {done + 1} of {count}, compressed as `{syntax_name(syntax)}`, is truncated or "
        "damaged; deliver it again",
    )


def _unsupported(compression: str) -> ScanRejected:
    return ScanRejected(
        "unsupported_transfer_syntax",
        f"a DICOM file compressed as `{compression}`, which is not supported; export it "
        "uncompressed",
    )
