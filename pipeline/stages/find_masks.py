"""Find the masks of a batch when it is planned, so that names in label files mean the pictures.

A mask comes with a picture and shares its stem with it, in another folder (images/a.png and
masks/a.png), with another suffix (a.jpg and a.png) or with a word for masks in its name
(a_mask.png). It has at most three grey levels. Files that were listed before keep their kind, and
of the others only those that share a stem and may be masks by their header and size are decoded, in
worker processes.
"""

import io
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from pipeline.config import Settings
from pipeline.ingest.batch_folder import AT_ONCE, BatchFolder, S3Folder
from pipeline.ingest.decode import decode
from pipeline.ingest.delivery_lists import LatestListing
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import MASK, Entry, FileList, comparable, read_start
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.read_scan import Order, content, orders_ahead

WORD = r"(masks?|segmentations?|segmented|seg|labels?|annotations?|ground_?truth|gt)"
# What follows or precedes the name of the picture in that of its mask.
MASK_NAME = re.compile(rf"(?P<after>.+?)[ _.-]+{WORD}\d*|{WORD}[ _.-]+(?P<before>.+)")
ONLY_WORD = re.compile(rf"{WORD}[ _.-]*\d*")
START_BYTES = 1 << 16  # of a file, in which its header is found; else the file is decoded
# Compressed masks are small: a file of more than the first share of its raw size is a picture, if
# METADATA_BYTES do not explain it. Measured: PNG 0.56 for a panoramic and 0.22 for three levels at
# random; JPEG at least 0.20 for panoramics and at most 0.06 for masks of 2 million pixels. A PNG of
# more than the second share is not compressed.
PICTURE_SHARES = {"PNG": (0.3, 0.9), "JPEG": (0.15, 10.0)}
METADATA_BYTES = 1 << 16
BYTES = {"1": 1 / 8, "I;16": 2, "LA": 2, "RGB": 3, "RGBA": 4}  # of a raw pixel, by Pillow's mode
LEVELS = 3
# Lossy compression and smooth edges add levels to a mask, but most of its pixels keep theirs. The
# three most frequent levels hold at most 0.10 of the pixels of the panoramics in data/opg, and at
# least 0.85 of those of tooth masks saved as JPEG of quality 75 (128 × 128 to 1316 × 2943 pixels).
FLAT_SHARE = 0.8


def mark_masks(
    folder: BatchFolder,
    listing: FileList,
    known: Mapping[bytes, LatestListing],
    settings: Settings,
) -> None:
    """Give the masks among the scans of `listing` their kind; `known` are earlier listings."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in listing.scans:
        if entry.kind == "file":
            groups[_picture_name(entry.path)].append(entry)
    shared = [
        entry
        for entries in groups.values()
        for entry in entries
        if len(entries) > 1 or _is_named_mask(entry.path)
    ]
    masks = {entry for entry in shared if _known_kind(entry, known) == MASK}
    doubtful = [entry for entry in shared if _known_kind(entry, known) is None]
    doubtful = _may_be_masks(folder, doubtful, settings)
    levels = _grey_levels(folder, doubtful, settings)
    masks |= {entry for entry, count in levels.items() if 1 < count <= LEVELS}
    # One level alone may also be a blank scan, unless a picture is there that it belongs to.
    blank = {entry for entry, count in levels.items() if count == 1}
    for entries in groups.values():
        has_picture = not all(entry in masks or entry in blank for entry in entries)
        masks |= {e for e in entries if e in blank and (has_picture or _is_named_mask(e.path))}
    listing.scans = [replace(e, kind=MASK) if e in masks else e for e in listing.scans]


def _picture_name(path: bytes) -> str:
    """The stem of a file, or of the picture that a mask belongs to by its own stem."""
    stem = _stem(path)
    found = MASK_NAME.fullmatch(stem)
    return (found["after"] or found["before"]) if found else stem


def _is_named_mask(path: bytes) -> bool:
    """Whether the name of a file or of its folder says that it is a mask."""
    stem, folder = _stem(path), comparable(os.path.basename(os.path.dirname(path))).casefold()
    return bool(
        MASK_NAME.fullmatch(stem) or ONLY_WORD.fullmatch(stem) or ONLY_WORD.fullmatch(folder)
    )


def _stem(path: bytes) -> str:
    return os.path.splitext(comparable(os.path.basename(path)).casefold())[0]


def _known_kind(entry: Entry, known: Mapping[bytes, LatestListing]) -> str | None:
    """The kind that an unchanged file was listed with; None for a new one."""
    before = known.get(entry.path)
    unchanged = before and (before.size, before.mtime_ns) == (entry.size, entry.mtime_ns)
    return before.kind if unchanged else None


def _may_be_masks(folder: BatchFolder, entries: Iterable[Entry], settings: Settings) -> list[Entry]:
    """Those of the files that may be masks by their header and size."""
    entries = list(entries)
    read = partial(read_start, folder, count=START_BYTES, follow_links=settings.follow_links)
    with ThreadPoolExecutor(AT_ONCE if isinstance(folder, S3Folder) else 1) as threads:
        starts = threads.map(read, entries)
        return [
            entry
            for entry, start in zip(entries, starts, strict=True)
            if _may_be_mask(start, entry.size)
        ]


def _may_be_mask(start: bytes, size: int) -> bool:
    if start[128:132] == b"DICM":
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about what the first bytes lack
            picture = Image.open(io.BytesIO(start), formats=list(PICTURE_SHARES))
    except Exception:  # another format or a damaged header: decoding will show
        return True
    least, most = PICTURE_SHARES[picture.format]
    pixels = picture.width * picture.height
    raw = pixels if picture.format == "JPEG" else pixels * BYTES.get(picture.mode, 1)
    return not raw * least + METADATA_BYTES < size < raw * most


def _grey_levels(folder: BatchFolder, entries: list[Entry], settings: Settings) -> dict[Entry, int]:
    """The number of grey levels of each file that is an image."""
    if not entries:
        return {}
    limits = settings.pixel_limit, settings.scan_memory_mb * 2**20 // 4, settings.follow_links
    orders = (
        Order(folder, entry, Annotation(), settings.recipe, settings.quality, *limits)
        for entry in entries
    )
    workers = WorkerPool(settings.workers, settings.scan_seconds, settings.scan_memory_mb)
    try:
        found = workers.map(count_levels, orders_ahead(orders))
        # What cannot be read is rejected, with its reason, when it is received.
        return {
            entry: count
            for entry, count in zip(entries, found, strict=True)
            if isinstance(count, int)
        }
    finally:
        workers.close()


def count_levels(order: Order) -> int:
    """The number of grey levels of a file; ScanRejected for one that is not an image."""
    data = content(order) if order.data is None else order.data
    picture = decode(data, order.annotation.bits, order.max_pixels)
    if picture.format == "dicom" or len(picture.frames) > 1:
        return 256
    return levels_of(picture.frames[0])


def levels_of(pixels: np.ndarray) -> int:
    """The number of grey levels of uint8 pixels; LEVELS if nearly all pixels have so many."""
    counts = np.sort(np.bincount(pixels.ravel()))
    levels = int(np.count_nonzero(counts))
    flat = counts[-LEVELS:].sum() >= FLAT_SHARE * pixels.size
    return min(levels, LEVELS) if flat else levels
