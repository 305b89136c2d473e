"""Rotate and mirror images by DICOM's PatientOrientation: feet down, the patient's left at right.

The codes give the directions of rows and columns: L, R, A, P, H and F for left, right, anterior,
posterior, head and feet; the first letter of each counts. An image whose codes leave the direction
of the feet open is not changed. Source: DICOM PS3.3, C.7.6.1.1.1.
"""

from dataclasses import replace

import numpy as np

from pipeline.ingest.decoded_picture import Picture

OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))


def turn_upright(picture: Picture) -> Picture:
    """Rotate by quarter turns, and mirror where left and right are exchanged."""
    turns, mirrored = turns_and_mirroring(picture.orientation)
    if not turns and not mirrored:
        return picture
    frames = [np.rot90(frame, -turns) for frame in picture.frames]
    if mirrored:
        frames = [frame[:, ::-1] for frame in frames]
    across, down = picture.pixel_spacing_x, picture.pixel_spacing_y
    if turns % 2:
        across, down = down, across
    return replace(
        picture,
        frames=tuple(np.ascontiguousarray(frame) for frame in frames),
        pixel_spacing_x=across,
        pixel_spacing_y=down,
    )


def turns_and_mirroring(orientation: str | None) -> tuple[int, bool]:
    """Clockwise quarter turns, and whether to mirror left and right afterwards."""
    if orientation is None:
        return 0, False
    rows, columns = (code[0] for code in orientation.split("/"))
    turns = 0
    # A clockwise quarter turn: what pointed right points down, what pointed down points left.
    while columns != "F" and turns < 4:
        rows, columns, turns = OPPOSITE[columns], rows, turns + 1
    return (turns, rows == "R") if columns == "F" else (0, False)
