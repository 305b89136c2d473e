"""One delivered file in, its facts and crops out: the work done in a worker process.

Bytes are read once, hashed, decoded once and cut. What comes back holds no name: paths stay with
the caller, and the PatientID is keyed by the caller before it goes anywhere.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.config import Quality, Recipe
from pipeline.errors import ScanRejected
from pipeline.imaging.burned_in_text import has_burned_in_text
from pipeline.imaging.crops import cut, cut_alike
from pipeline.imaging.frame import Frame
from pipeline.imaging.perceptual_hash import perceptual_hash
from pipeline.imaging.picture_area import is_panoramic
from pipeline.imaging.quality import flags, measure
from pipeline.imaging.regions import (
    Annotated,
    Region,
    find_background,
    find_regions,
    place_boxes,
)
from pipeline.imaging.thumbnail import thumbnail
from pipeline.ingest.batch_folder import AT_ONCE, BatchFolder, S3Folder, State
from pipeline.ingest.decode import decode
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import MAX_DEPTH, Entry, open_below
from pipeline.ingest.orientation import turn_upright
from pipeline.ingest.picture import Picture


@dataclass(frozen=True)
class Order:
    """A file to read and how."""

    folder: BatchFolder
    entry: Entry
    annotation: Annotation
    recipe: Recipe
    quality: Quality
    max_pixels: int
    max_bytes: int
    follow_links: bool
    data: bytes | None = field(default=None, repr=False)  # of the file, when they are here already


@dataclass
class Read:
    """What became of one file."""

    scan_id: str | None = None
    picture_facts: dict = field(default_factory=dict)  # columns of the scans table
    patient: str | None = None  # as the file says it; never stored
    boxes: list[Annotated] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    # uint8 (regions, side, side), one array: it comes from its process as it lies in memory
    crops: np.ndarray = field(default_factory=partial(np.empty, (0, 0, 0), np.uint8))
    problems: list[tuple[str, str, str]] = field(default_factory=list)  # kind, where, what: private
    notes: tuple[str, ...] = ()  # the decoder's warnings: private
    rejection: ScanRejected | None = None


def read_scan(order: Order) -> Read:
    """Read, hash, decode and cut one file. A rejected file comes back with its rejection."""
    read = Read()
    try:
        data = content(order) if order.data is None else order.data
        read.scan_id = scan_id_of(data)
        read.picture_facts["bytes"] = len(data)
        picture = decode(data, order.annotation.bits, order.max_pixels)
        # Boxes were drawn on the pixels as they are stored.
        if not order.annotation.boxes:
            picture = turn_upright(picture)
        _note_facts(picture, read)
        frames = [Frame(pixels) for pixels in picture.frames]
        _judge(frames[0], order.quality, read)
        _cut(frames, picture.modality, order, read)
    except ScanRejected as rejection:
        read.rejection = rejection
    except MemoryError:
        read.rejection = ScanRejected(
            "too_large",
            "decoding it takes more memory than there is for one scan; raise `scan_memory_mb` if "
            "this is a real scan",
        )
    return read


def scan_id_of(data: bytes) -> str:
    """The same bytes are the same scan, under whatever name."""
    return hashlib.sha256(data).hexdigest()[:32]


def named_scan_id(said: str) -> str | None:
    """The scan_id that a person names, by itself or in a crop_id; None when `said` is neither."""
    found = re.fullmatch(r"([0-9a-f]{32})(:.+)?", said)
    return found and found[1]


def orders_ahead(orders: Iterable[Order]) -> Iterator[Order | Future[Order]]:
    """Orders for worker processes, which read files of a folder themselves.

    Objects are fetched here, as soon as their order is taken, so that they come while others are
    decoded; whoever takes the orders bounds how many wait in memory.
    """
    with ThreadPoolExecutor(AT_ONCE, "fetching") as threads:
        for order in orders:
            far = isinstance(order.folder, S3Folder)
            yield threads.submit(_with_content, order) if far else order


def _with_content(order: Order) -> Order:
    # Without its folder, since workers have no way to S3: importing one would cost each a second.
    return replace(order, data=content(order), folder=Path())


def content(order: Order) -> bytes:
    """The file's bytes, when it is still the file that was listed."""
    entry = order.entry
    if entry.kind != "file":
        raise ScanRejected(*_not_a_file(entry.kind))
    if entry.size > order.max_bytes:
        raise ScanRejected(
            "too_large",
            f"{entry.size} bytes, at most {order.max_bytes} are taken; raise `scan_memory_mb` if "
            "this is a real scan",
        )
    try:
        data, now = _content_now(order)
    except FileNotFoundError:
        raise ScanRejected("vanished", "listed, but gone when it was read") from None
    except PermissionError:
        raise ScanRejected("unreadable", "may not be read; give the right to read it") from None
    except OSError as error:
        if error.errno in (errno.EIO, errno.ESTALE, errno.ENOMEM):
            raise  # of the disk, not of the file: trying again may help
        words = errno.errorcode.get(error.errno or 0, "unknown error")
        raise ScanRejected("unreadable", f"cannot be read ({words})") from None
    if now != (entry.size, entry.mtime_ns):
        raise ScanRejected("changed", "changed after it was listed; it comes with the next run")
    return data


def _content_now(order: Order) -> tuple[bytes, State]:
    """Bytes and state of the file that lies there now."""
    folder, entry = order.folder, order.entry
    if isinstance(folder, S3Folder):
        return folder.read(entry.path)
    descriptor = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, order.follow_links)
    with open(descriptor, "rb") as file:
        data = file.read(entry.size + 1)
        now = os.fstat(descriptor)
    return data, State(now.st_size, now.st_mtime_ns)


def _not_a_file(kind: str) -> tuple[str, str]:
    if kind == "link":
        return (
            "symbolic_link",
            "a symbolic link that is not followed; deliver the file itself, or set `follow_links` "
            "if it leads to one",
        )
    if kind == "unreadable":
        return "unreadable", "a folder or file that may not be read; give the right to read it"
    if kind == "deep":
        return (
            "too_deep",
            f"a folder below {MAX_DEPTH} others, whose content was not read; deliver it higher up",
        )
    return "not_a_file", "a pipe, socket or device; deliver a file"


def _note_facts(picture: Picture, read: Read) -> None:
    read.patient, read.notes = picture.patient, picture.notes
    read.picture_facts |= {
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "frames": len(picture.frames),
        "bits": picture.bits,
        "bits_from": picture.bits_from,
        "colour": picture.colour,
        "modality": picture.modality,
        "transfer_syntax": picture.transfer_syntax,
        "pixel_spacing_x": picture.pixel_spacing_x,
        "pixel_spacing_y": picture.pixel_spacing_y,
        "orientation": picture.orientation,
        "panoramic": is_panoramic(picture.width, picture.height, picture.modality),
    }


def _judge(frame: Frame, bounds: Quality, read: Read) -> None:
    """Note quality and likeness; a scan with a flag that is not wanted is rejected."""
    small, (height, width) = thumbnail(frame), frame.pixels.shape
    facts = measure(small)
    found = flags(facts, width, height, read.picture_facts["panoramic"], bounds)
    if "blank" not in found and has_burned_in_text(frame.pixels):
        found["burned_in_text"] = "letters seem to be burned in"
    read.picture_facts |= {
        **asdict(facts),
        "quality_flags": list(found),
        # Blank scans are all alike, and none says of whom it is.
        "likeness": None if "blank" in found else perceptual_hash(small),
    }
    if unwanted := [f"{flag}: {words}" for flag, words in found.items() if flag in bounds.reject]:
        raise ScanRejected("quality", "; ".join(unwanted))


def _cut(frames: Sequence[Frame], modality: str | None, order: Order, read: Read) -> None:
    about, recipe = order.annotation, order.recipe
    height, width = frames[0].pixels.shape
    read.boxes, read.problems = place_boxes(about.boxes, width, height)
    crops: list[np.ndarray] = []
    for number, frame in enumerate(frames):
        seen = frame.without_border(recipe.mask_border)
        found = find_regions(seen, modality, read.boxes, recipe, about.label, about.tooth)
        rest = find_background(seen, modality, read.boxes, recipe)
        for regions in (found, rest):
            # From left to right, since what neighbours share is packed once when they lie close:
            # the 48 crops of a real panoramic take 24 KB each, 35 in the order of their chances.
            regions.sort(key=lambda region: region.square.x)
            crops += _pixels(seen.pixels, regions, recipe.side)
            if len(frames) > 1:
                regions = [region.named(f"f{number:04d}-{region.name}") for region in regions]
            read.regions += regions
    if crops:
        read.crops = np.stack(crops)


def _pixels(pixels: np.ndarray, regions: Sequence[Region], side: int) -> Iterable[np.ndarray]:
    """Found places are many and overlap; a tiny scan is not made large for them."""
    if not regions:
        return []
    if regions[0].kind in ("tooth", "background") and side <= 2 * regions[0].square.w:
        return cut_alike(pixels, [region.square for region in regions], side)
    return (cut(pixels, region.square, region.area, side) for region in regions)
