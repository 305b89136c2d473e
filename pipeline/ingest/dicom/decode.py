"""DICOM files to pictures: rescale and VOI LUT applied, MONOCHROME1 inverted, overlays left out.

Only pixels and technical facts leave this module, and the PatientID, which the caller keys at
once. pydicom's warnings may quote elements, so they come back as private notes.
"""

import logging
import warnings

from pipeline.errors import ScanRejected
from pipeline.ingest.dicom.file import facts, read
from pipeline.ingest.dicom.greyscale import Greyscale
from pipeline.ingest.dicom.pixels import frames_of
from pipeline.ingest.picture import Picture

# What pydicom logs, it also warns of; its log goes to the terminal and may quote elements.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decode one DICOM file; frames are grey uint8 (rows, columns), one after another.

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
            told = facts(dataset)
        except (ScanRejected, MemoryError):
            raise
        # Any element may lie about any other, and NumPy and pydicom raise many kinds then.
        except Exception as error:
            raise ScanRejected(
                "undecodable",
                f"a DICOM file whose pixels do not fit their description ({type(error).__name__})",
            ) from None
    notes = tuple(str(warning.message) for warning in caught)
    return Picture(tuple(frames), "dicom", greyscale.bits, "dicom", colour, notes=notes, **told)
