"""Pair YOLO files with their scans, in the arrangements of training tools or by name."""

import os

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.find_scan import Match, settle
from pipeline.ingest.list_files import Entry, is_labels_folder


def pair_scans(files: list[Entry], into: Annotations) -> dict[bytes, list[bytes]]:
    """The scans of every YOLO file: all at its place (x.jpg and x.dcm), else one by its name.

    A file whose image folder is there but lacks its image has none; that of another split is not
    its image.
    """
    pairs: dict[bytes, list[bytes]] = {}
    unpaired: dict[bytes, Match] = {}
    for entry in files:
        beside, *in_images = _image_stems(entry)
        scans = next(filter(None, map(into.finder.at_stem, (beside, *in_images))), [])
        homes = {os.path.dirname(stem) for stem in in_images or [beside]}
        if scans:
            pairs[entry.path] = scans
        elif any(map(into.finder.has_scans_in, homes)):
            unpaired[entry.path] = Match([], complete=False)
        else:
            unpaired[entry.path] = into.finder.find_beside(_name_of(entry), entry.path)
    claimed = {scan for scans in pairs.values() for scan in scans}
    found = settle(unpaired, {path: path for path in unpaired}, claimed)
    for entry in files:
        if entry.path in found:
            where = os.fsdecode(entry.path)
            scan = into.require_scan(_name_of(entry), found[entry.path], where)
            pairs[entry.path] = [] if scan is None else [scan]
    return pairs


def _image_stems(entry: Entry) -> list[bytes]:
    """Paths without suffix of the images that a .txt may belong to.

    In the same folder, or as training tools arrange them: images/train/x.jpg or train/images/x.jpg
    for labels/train/x.txt and for train/labels/x.txt.
    """
    parts = entry.stem.split(b"/")
    for place in reversed(range(len(parts) - 1)):
        if is_labels_folder(parts[place]):
            above, below, images = parts[:place], parts[place + 1 :], [b"images"]
            stems = [above + images + below]
            if len(below) > 1:
                stems.append(above + below[:1] + images + below[1:])
            if above:
                stems.append(above[:-1] + images + above[-1:] + below)
            return [entry.stem, *map(b"/".join, stems)]
    return [entry.stem]


def _name_of(entry: Entry) -> str:
    """The image of a YOLO file: `train/x` for labels/train/x.txt, else `x`."""
    parts = os.fsdecode(entry.stem).split("/")
    above = [place for place, part in enumerate(parts[:-1]) if is_labels_folder(os.fsencode(part))]
    return "/".join(parts[above[-1] + 1 :] if above else parts[-1:])
