"""Stored pixel values of a DICOM object, frame by frame, by the decoder that is right for them."""

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

# pydicom's plug-ins by name, best first; the next is asked when one fails. Compared on lossless
# pictures of 2 to 24 bits, signed and unsigned, grey and colour: all were exact. But GDCM refuses
# JPEG-LS of 6 and 7 bits and may end the process, so it comes last. Others that may be installed
# are not asked: libjpeg's returns a picture for a truncated file.
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
JPEG = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}  # lossy, whose colours may be transformed
# What Pillow and GDCM can do of what the standard allows; GDCM ends the process on fewer.
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
NEEDED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
# A frame costs a crop, however small it is, so a million frames of one pixel count for more.
FRAME_COSTS = 65_536  # pixels


def frames_of(dataset: pydicom.FileDataset, max_pixels: int) -> Iterator[tuple[np.ndarray, str]]:
    """Each frame as stored, (rows, columns) or (rows, columns, 3), and its colour space.

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
    """How many frames there are, when all of them together are not too large."""
    missing = [name for name in NEEDED if dataset.get(name) in (None, "")]
    if missing:
        raise ScanRejected(
            "undecodable", f"a DICOM object that does not say its {', '.join(missing)}"
        )
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)
    count = int(dataset.get("NumberOfFrames") or 1)
    if min(rows, columns, samples, count) < 1:
        raise ScanRejected("undecodable", f"{columns} x {rows} pixels in {count} frames")
    frame = rows * columns * samples
    if max(frame, FRAME_COSTS if count > 1 else 0) * count > max_pixels:
        raise ScanRejected(
            "too_large",
            f"{columns} x {rows} pixels in {count} frames, at most {max_pixels} are taken; "
            "raise `max_pixels` if this is a real scan",
        )
    return count


def _refuse_short(dataset: pydicom.FileDataset, count: int, syntax: uid.UID) -> None:
    """Uncompressed pixels are one piece, of as many bytes as the header says."""
    bits = int(dataset.BitsAllocated) * int(dataset.SamplesPerPixel)
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their colours
    expected = -(-int(dataset.Rows) * int(dataset.Columns) * count * bits // 8)
    [pixels] = [dataset[name] for name in PIXELS if name in dataset]
    if pixels.is_undefined_length:
        raise ScanRejected(
            "undecodable",
            f"pixels in pieces, as compressed ones are, although `{syntax_name(syntax)}` is not "
            "compressed; export it again",
        )
    found = len(pixels.value)
    if found < expected:
        raise ScanRejected(
            "undecodable",
            f"{found} bytes of pixels where {expected} are expected: truncated, or described "
            "wrongly; deliver it again",
        )


def _native(dataset: pydicom.FileDataset, count: int) -> Iterator[tuple[np.ndarray, str]]:
    # Older devices store 12 bits in the upper part of 16; pydicom would cut the upper ones off.
    high, stored = (int(dataset.get(name) or 0) for name in ("HighBit", "BitsStored"))
    shift = high + 1 - stored if stored and high + 1 <= dataset.BitsAllocated else 0
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    found = decoder.iter_array(dataset, raw=True, correct_unused_bits=shift <= 0)
    for frame, facts in islice(found, count):
        yield frame >> shift if shift > 0 else frame, str(facts["photometric_interpretation"])


def _codestream(dataset: pydicom.FileDataset, count: int) -> Codestream | None:
    """The head of the first frame. All must be of the size and kind that the object says."""
    first = None
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    for stream in islice((read_codestream(frame) for frame in frames), count):
        first = first or stream
        if stream and (stream.width, stream.height) != (dataset.Columns, dataset.Rows):
            raise ScanRejected(
                "undecodable",
                f"a compressed picture of {stream.width} x {stream.height} pixels in an object of "
                f"{int(dataset.Columns)} x {int(dataset.Rows)}: damaged; deliver it again",
            )
        if stream and stream.samples != dataset.SamplesPerPixel:
            raise ScanRejected(
                "undecodable",
                f"a compressed picture of {stream.samples} samples a pixel in an object of "
                f"{int(dataset.SamplesPerPixel)}: described wrongly; export it again",
            )
    return first


def _decoded(
    dataset: pydicom.FileDataset, count: int, stream: Codestream | None
) -> Iterator[tuple[np.ndarray, str]]:
    """Frames by the first plug-in that can; another goes on with the frame at which one failed."""
    syntax = dataset.file_meta.TransferSyntaxUID
    plugins, colours = PLUGINS[syntax], None
    if syntax in JPEG and int(dataset.SamplesPerPixel) > 1:
        # Pillow returns RGB for YCbCr with an Adobe marker, and pydicom takes it for YCbCr: wrong
        # by up to 255. GDCM leaves colours as they were stored.
        plugins, colours = ("gdcm",), stream and stream.colours
    decoder, done = get_decoder(syntax), 0
    for plugin in plugins:
        frames = decoder.iter_array(dataset, raw=True, decoding_plugin=plugin)
        try:
            for frame, facts in islice(frames, done, count):
                yield frame, colours or str(facts["photometric_interpretation"])
                done += 1
        except MemoryError:
            raise
        except Exception:  # of C code on hostile bytes: many kinds, and the next may do better
            continue
        if done == count:
            return
    raise ScanRejected(
        "undecodable",
        f"frame {done + 1} of {count}, compressed as `{syntax_name(syntax)}`, is truncated or "
        "damaged; deliver it again",
    )


def _unsupported(what: str) -> ScanRejected:
    return ScanRejected(
        "unsupported_transfer_syntax",
        f"a DICOM file whose pixels are compressed as `{what}`, which cannot be read; "
        "export it uncompressed",
    )
