"""A decoded scan: 8-bit greyscale frames and the facts found while decoding."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Picture:
    """A decoded scan. Frames are uint8 (height, width), all of one size; most scans have one."""

    frames: tuple[np.ndarray, ...]
    format: str
    bits: int
    bits_from: str  # file, dicom, csv or guessed
    colour: bool
    bits_used: int | None = None  # that the brightest value of a 16-bit file needs; None for others
    modality: str | None = None
    patient: str | None = None  # the DICOM PatientID; hashed with the key before it is stored
    pixel_spacing_x: float | None = None  # millimetres between columns, and between rows
    pixel_spacing_y: float | None = None
    orientation: str | None = None  # directions of rows and columns, such as L/F
    transfer_syntax: str | None = None  # the standard's name
    notes: tuple[str, ...] = ()  # the decoder's warnings; private

    @property
    def width(self) -> int:
        return self.frames[0].shape[1]

    @property
    def height(self) -> int:
        return self.frames[0].shape[0]


def to_eight_bits(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Scale uint16 pixels to uint8 by the bit depth of the sensor, rounded.

    Never by this scan's own maximum: two scans of one patient keep their relative brightness.
    """
    return cv2.convertScaleAbs(pixels, alpha=255 / (2**bits - 1))
