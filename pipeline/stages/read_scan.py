"""Read one delivered file into facts and crops, in a worker process.

The bytes are read once, hashed, decoded once and cut. The result holds no file name: paths stay
with the caller, which also replaces the PatientID by a keyed hash before it is used.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.config import Quality, Recipe
from pipeline.errors import ScanRejected
from pipeline.imaging.burned_in_text import has_burned_in_text
from pipeline.imaging.crops import Crops, cut, cut_alike
from pipeline.imaging.frame import Frame
from pipeline.imaging.perceptual_hash import centre_hashes, perceptual_hash
from pipeline.imaging.picture_area import is_panoramic
from pipeline.imaging.quality import flags, measure
from pipeline.imaging.regions import (
    Annotated,
    Region,
    box_regions,
    find_background,
    find_regions,
    place_boxes,
)
from pipeline.imaging.thumbnail import thumbnail, whole_thumbnail
from pipeline.ingest.batch_folder import AT_ONCE, BatchFolder, S3Folder, State
from pipeline.ingest.decode import decode
from pipeline.ingest.decoded_picture import Picture
from pipeline.ingest.foreign_formats import named_archive
from pipeline.ingest.icons import is_icon
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import MASK, suffix
from pipeline.ingest.orientation import turn_upright
from pipeline.ingest.walk_folder import MAX_DEPTH, Entry, open_below


@dataclass(frozen=True)
class Order:
    """A file to read, with the settings for reading it."""

    folder: BatchFolder
    entry: Entry
    annotation: Annotation
    recipe: Recipe
    quality: Quality
    max_pixels: int
    max_bytes: int
    follow_links: bool
    data: bytes | None = field(default=None, repr=False)  # of the file, if fetched already
    drawn: tuple[tuple[int, Annotated], ...] = ()  # with frames: boxes to cut instead of regions


@dataclass
class Read:
    """The result of reading one file."""

    scan_id: str | None = None
    picture_facts: dict = field(default_factory=dict)  # columns of the scans table
    patient: str | None = None  # PatientID of the file; never stored
    boxes: list[Annotated] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    crops: Crops = field(default_factory=lambda: Crops(0))  # one for every region
    problems: list[tuple[str, str, str]] = field(default_factory=list)  # kind, where, what: private
    notes: tuple[str, ...] = ()  # the decoder's warnings: private
    rejection: ScanRejected | None = None


def read_scan(order: Order) -> Read:
    """Read, hash, decode and cut one file. A rejected file is returned with its rejection."""
    read = Read()
    try:
        data = content(order) if order.data is None else order.data
        read.scan_id = scan_id_of(data)
        read.picture_facts["bytes"] = len(data)
        picture = _decoded(data, order)
        # Boxes refer to the pixels as stored, before turning.
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


def _decoded(data: bytes, order: Order) -> Picture:
    """The picture of a file that may be a scan."""
    if order.entry.kind == MASK:
        raise ScanRejected(
            MASK,
            "a mask with at most three grey levels that goes with another file; it is no scan and "
            "does not count as rejected",
        )
    try:
        picture = decode(data, order.annotation.bits, order.max_pixels)
    except ScanRejected as rejection:
        archive = rejection.reason == "not_an_image" and named_archive(suffix(order.entry))
        raise archive or rejection from None
    if is_icon(data, picture):
        raise ScanRejected(
            "icon",
            f"{picture.width} x {picture.height} coloured pixels, as icons of programs have; take "
            "it out of the folder",
        )
    return picture


def scan_id_of(data: bytes) -> str:
    """The id of a scan: the same bytes are the same scan, whatever the file's name."""
    return hashlib.sha256(data).hexdigest()[:32]


def named_scan_id(text: str) -> str | None:
    """The scan_id in a scan_id or crop_id; None when `text` is neither."""
    found = re.fullmatch(r"([0-9a-f]{32})(:.+)?", text)
    return found and found[1]


def orders_ahead(orders: Iterable[Order]) -> Iterator[Order | Future[Order]]:
    """Orders for worker processes, with the content of objects on S3.

    Workers read files of a local folder themselves. Objects are fetched here as soon as their order
    is taken, while others are decoded; the caller limits how many wait in memory.
    """
    with ThreadPoolExecutor(AT_ONCE, "fetching") as threads:
        for order in orders:
            on_s3 = isinstance(order.folder, S3Folder)
            yield threads.submit(_with_content, order) if on_s3 else order


def _with_content(order: Order) -> Order:
    # Without its folder, since workers have no S3 client: importing one would take each a second.
    return replace(order, data=content(order), folder=Path())


def content(order: Order) -> bytes:
    """The bytes of the file; ScanRejected unless it is still the file that was listed."""
    entry = order.entry
    if entry.kind not in ("file", MASK):
        raise ScanRejected(*not_a_file(entry.kind))
    if entry.size > order.max_bytes:
        raise named_archive(suffix(entry)) or ScanRejected(
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
            raise  # a problem of the disk, not of the file: trying again may help
        code = errno.errorcode.get(error.errno or 0, "unknown error")
        raise ScanRejected("unreadable", f"cannot be read ({code})") from None
    if now != (entry.size, entry.mtime_ns):
        raise ScanRejected("changed", "changed after it was listed; it comes with the next run")
    return data


def _content_now(order: Order) -> tuple[bytes, State]:
    """Bytes and state of the file as it is now."""
    folder, entry = order.folder, order.entry
    if isinstance(folder, S3Folder):
        return folder.read(entry.path)
    descriptor = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, order.follow_links)
    with open(descriptor, "rb") as file:
        data = file.read(entry.size + 1)
        now = os.fstat(descriptor)
    return data, State(now.st_size, now.st_mtime_ns)


def not_a_file(kind: str) -> tuple[str, str]:
    """Reason and message of the rejection of an entry that is no file."""
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
        "bits_used": picture.bits_used,
        "colour": picture.colour,
        "modality": picture.modality,
        "transfer_syntax": picture.transfer_syntax,
        "pixel_spacing_x": picture.pixel_spacing_x,
        "pixel_spacing_y": picture.pixel_spacing_y,
        "orientation": picture.orientation,
        "panoramic": is_panoramic(picture.width, picture.height, picture.modality),
    }


def _judge(frame: Frame, bounds: Quality, read: Read) -> None:
    """Note quality and perceptual hash; reject a scan with a flag that the settings reject."""
    small, (height, width) = thumbnail(frame), frame.pixels.shape
    facts = measure(small)
    found = flags(facts, width, height, read.picture_facts["panoramic"], bounds)
    if "blank" not in found and has_burned_in_text(frame.pixels):
        found["burned_in_text"] = "letters seem to be burned in"
    read.picture_facts |= {
        **asdict(facts),
        "quality_flags": list(found),
        # Blank scans all look alike, so their hash would not identify anything.
        "likeness": None if "blank" in found else perceptual_hash(small),
        "likeness_turned": None if "blank" in found else centre_hashes(whole_thumbnail(frame)),
    }
    if unwanted := [f"{flag}: {text}" for flag, text in found.items() if flag in bounds.reject]:
        raise ScanRejected("quality", "; ".join(unwanted))


def _cut(frames: Sequence[Frame], modality: str | None, order: Order, read: Read) -> None:
    annotation, recipe = order.annotation, order.recipe
    height, width = frames[0].pixels.shape
    read.boxes, read.problems = place_boxes(annotation.boxes, width, height)
    read.crops = Crops(recipe.side)
    for number, frame in enumerate(frames):
        visible = frame.without_border(recipe.mask_border)
        if order.drawn:
            boxes = [box for at, box in order.drawn if at == number]
            kinds = [box_regions(visible, modality, boxes, recipe, "drawn")]
        else:
            label, tooth = annotation.label, annotation.tooth
            found = find_regions(visible, modality, read.boxes, recipe, label, tooth)
            kinds = [found, find_background(visible, modality, read.boxes, recipe)]
        for regions in kinds:
            # From left to right, so that the overlap of neighbours is close together and compresses
            # well: the 48 crops of a real panoramic take 24 KB each, and 35 KB in order of score.
            regions.sort(key=lambda region: region.square.x)
            read.crops.add(_crops(visible.pixels, regions, recipe.side))
            if len(frames) > 1:
                regions = [region.named(f"f{number:04d}-{region.name}") for region in regions]
            read.regions += regions


def _crops(pixels: np.ndarray, regions: Sequence[Region], side: int) -> Crops:
    """Crops of some regions; found places, which are many and overlap, are scaled together."""
    found = bool(regions) and regions[0].kind in ("tooth", "background")
    if found and side <= 2 * regions[0].square.w:
        return cut_alike(pixels, [region.square for region in regions], side)
    crops = Crops(side)
    for region in regions:
        crops.cut(cut(pixels, region.square, region.area, side), [(0, 0)])
    return crops
