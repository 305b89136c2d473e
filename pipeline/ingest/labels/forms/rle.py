"""The box of a mask in run-length encoding, without unpacking it to pixels.

Runs alternate between 0 and 1, beginning with 0. COCO's go down the columns, from left to right.
They are a list of lengths or, compressed, a text: groups of five bits from the lowest, each as a
character from `0` whose bit 32 marks that another follows; from the fourth run on, the difference
to the run two before. CVAT's go along the rows.
"""

from pipeline.ingest.labels.shapes import Bounds, box

MAX_SIDE = 10**6  # pixels; a larger mask is no scan's
MAX_GROUPS = 7  # of five bits: lengths below 2**35


def coco_mask_bounds(mask) -> Bounds | None:
    """The box around the pixels of a COCO mask; None if it is malformed or empty."""
    if not isinstance(mask, dict):
        return None
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_side, size)):
        return None
    runs = _unpack(counts) if isinstance(counts, str) else counts
    found = _around(runs, *size) if isinstance(runs, list) else None
    return found and box(*found)


def row_mask_bounds(runs: list[int], width: int, height: int) -> Bounds | None:
    """The box around the pixels of a mask whose runs go along its rows; None likewise."""
    if (
        not _is_side(width)
        or not _is_side(height)
        or (found := _around(runs, width, height)) is None
    ):
        return None
    top, left, h, w = found
    return box(left, top, w, h)


def _is_side(value) -> bool:
    return isinstance(value, int) and 0 < value <= MAX_SIDE


def _around(runs: list, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of what runs down the columns cover."""
    if not all(isinstance(run, int) and run >= 0 for run in runs):
        return None
    left, top, right, bottom, start = width, height, 0, 0, 0
    for place, run in enumerate(runs):
        end = start + run
        if end > height * width:
            return None
        if place % 2 and run:
            first, last = start // height, (end - 1) // height
            left, right = min(left, first), max(right, last + 1)
            # A run that continues in the next column reaches the bottom and the top.
            top = min(top, start % height if first == last else 0)
            bottom = max(bottom, (end - 1) % height + 1 if first == last else height)
        start = end
    return left, top, right - left, bottom - top


def _unpack(text: str) -> list[int] | None:
    """The lengths of compressed runs; None if the text ends within one or is none."""
    runs: list[int] = []
    value = groups = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or groups >= MAX_GROUPS:
            return None
        value |= (code & 31) << 5 * groups
        groups += 1
        if code & 32:
            continue
        if code & 16:
            value -= 1 << 5 * groups
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = groups = 0
    return None if groups else runs
