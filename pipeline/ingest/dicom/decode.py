"""Decode DICOM files: rescale and VOI LUT applied, MONOCHROME1 inverted, overlays left out.

Only pixels, technical facts and the PatientID leave this module; the caller replaces the latter by
its keyed hash at once. pydicom's warnings may quote elements, so they become private notes.
"""

import warnings

from pipeline.errors import ScanRejected
from pipeline.ingest.decoded_picture import Picture
from pipeline.ingest.dicom.file import read, technical_facts
from pipeline.ingest.dicom.greyscale import Greyscale
from pipeline.ingest.dicom.pixels import frames_of


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decode one DICOM file to greyscale frames, uint8 (rows, columns).

    Raises ScanRejected: no_pixels, too_large, unsupported_transfer_syntax, unsupported_pixels,
    undecodable.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = read(data, max_pixels)
            stored = frames_of(dataset, max_pixels)
            greyscale, frames, colour = Greyscale(dataset), [], False
            for number, (frame, colour_space) in enumerate(stored):
                frames.append(greyscale.of_frame(number).convert(frame, colour_space))
                colour = colour or frame.ndim == 3 or greyscale.palette
            facts = technical_facts(dataset)
        except (ScanRejected, MemoryError):
            raise
        # Elements may contradict each other in any way; NumPy and pydicom then raise many kinds.
        except Exception as error:
            raise ScanRejected(
                "undecodable",
                f"a DICOM file whose pixels do not match its header ({type(error).__name__}); "
                "export it again",
            ) from None
    notes = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return Picture(tuple(frames), "dicom", greyscale.bits, "dicom", colour, notes=notes, **facts)
