"""The bit depth of the sensor behind a PNG or TIFF of 16 bits: delivered, recorded or guessed.

A sensor of 12 or 14 bits is stored in 16. Pixels are scaled by what the sensor could record, so a
depth that is too large makes a scan too dark.
"""

from PIL import Image

from pipeline.errors import ScanRejected

STORED_BITS, GUESSED_BITS = 16, 12
# TIFF's MaxSampleValue and SMaxSampleValue.
MAX_SAMPLE_VALUES = (281, 341)
# PNG: the colour samples of a pixel by its colour type; alpha, which follows them, does not count.
PNG_COLOUR_SAMPLES = {0: 1, 2: 3, 4: 1, 6: 3}
PNG_SIGNATURE_BYTES, PNG_COLOUR_TYPE = 8, 25  # the latter is a position in the file


def recorded_bits(data: bytes, picture: Image.Image) -> int | None:
    """The sensor's bit depth as a PNG (`sBIT`) or TIFF (`MaxSampleValue`) records it, else None."""
    if picture.format == "PNG":
        return _significant_bits(data)
    return _bits_of_maximum(picture) if picture.format == "TIFF" else None


def _significant_bits(data: bytes) -> int | None:
    at, colours = PNG_SIGNATURE_BYTES, PNG_COLOUR_SAMPLES.get(data[PNG_COLOUR_TYPE], 0)
    while at + 8 < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"sBIT":
            bits = max(data[at + 8 : at + 8 + min(length, colours)], default=0)
            return bits if 0 < bits <= STORED_BITS else None
        if kind == b"IDAT":  # sBIT comes before the pixels
            return None
        at += 12 + length
    return None


def _bits_of_maximum(picture: Image.Image) -> int | None:
    for tag in MAX_SAMPLE_VALUES:
        value = picture.tag_v2.get(tag)
        values = value if isinstance(value, tuple) else (value,)
        largest = max((each for each in values if isinstance(each, int)), default=0)
        # Of any other form, it is the brightest pixel of this scan: some programs write that.
        if largest > 0 and largest & (largest + 1) == 0 and largest < 2**STORED_BITS:
            return largest.bit_length()
    return None


def sensor_bits(brightest: int, delivered: int | None, recorded: int | None) -> tuple[int, str]:
    """The bit depth by which a 16-bit scan is scaled, and its source: csv, file or guessed.

    Raises ScanRejected (too_bright) when a delivered depth cannot hold the brightest pixel.
    """
    if delivered is not None:
        if brightest >= 2**delivered:
            raise ScanRejected(
                "too_bright",
                f"brightest pixel is {brightest} but a {delivered}-bit scan ends at "
                f"{2**delivered - 1}; correct `bits` in the table",
            )
        return delivered, "csv"
    if recorded is not None:
        # The PNG standard scales values up to 16 bits and keeps the sensor's depth in sBIT; most
        # devices write them as they are. Values that the depth cannot hold are scaled up.
        return (recorded if brightest < 2**recorded else STORED_BITS), "file"
    return (GUESSED_BITS if brightest < 2**GUESSED_BITS else STORED_BITS), "guessed"
