"""Turn a picture as DICOM's patient orientation says: feet down, the patient's left to the right.

The codes name where rows and columns point: L, R, A, P, H and F for left, right, anterior,
posterior, head and feet; the first letter of each counts. A picture with codes that leave open what
is down stays as it is. Source: DICOM PS3.3, C.7.6.1.1.1.
"""

from dataclasses import replace

import numpy as np

from pipeline.ingest.picture import Picture

OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))


def turn_upright(picture: Picture) -> Picture:
    """The picture turned by quarters, and mirrored where its left and right are exchanged."""
    turns, mirrored = steps(picture.orientation)
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


def steps(orientation: str | None) -> tuple[int, bool]:
    """Quarters to turn clockwise, and whether to exchange left and right afterwards."""
    if orientation is None:
        return 0, False
    rows, columns = (code[0] for code in orientation.split("/"))
    turns = 0
    # A quarter clockwise: what pointed right points down, and what pointed down points left.
    while columns != "F" and turns < 4:
        rows, columns, turns = OPPOSITE[columns], rows, turns + 1
    return (turns, rows == "R") if columns == "F" else (0, False)
