"""Damage label files in JSON and XML and read them: no exception, no hang, no silent loss.

Each input is a valid delivery of one form in which values, keys or bytes were replaced by a seeded
generator, so that a run can be repeated exactly. `make fuzz` reads 20,000, the tests 500.
"""

import copy
import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch
from tests.builders.label_forms import EXAMPLES, Example

INPUTS, SEED, SLOW_SECONDS = 20_000, 0, 5.0
LONG_AGO = 10**9  # listing waits for recent files, which may be growing
VALUES = (
    *(None, True, False, 0, 1, -1, 3.0, 1e308, float("nan"), float("inf"), 10**30, -0.5, 10**4000),
    *("", " ", "3", "3.0", "nan", "1_0", "x" * 300, "\0", "\ud800", "../a.png", "a.png", "çürük"),
    *([], {}, [[]], [{}], [1], [None], ["a"], [[1, 2]], {"name": "x"}, {"size": [2, 2]}, [1] * 4),
)
TEXTS = ("", " ", "nan", "inf", "-1", "0", "1e999", "1,2;3", ";", "x" * 300, "a.png", "çürük", "26")


def damaged(example: Example, number: int) -> dict[str, bytes]:
    """The label files of an example, one of them damaged in one to three places."""
    rng = np.random.default_rng((SEED, number))
    files = {name: text.encode() for name, text in example.files.items()}
    name = sorted(files)[rng.integers(len(files))]
    for _ in range(rng.integers(1, 4)):
        if rng.random() < 0.25:
            files[name] = damage_bytes(files[name], rng)
        elif name.endswith(".json"):
            files[name] = damage_json(files[name], rng)
        else:
            files[name] = damage_xml(files[name], rng)
    return files


def damage_bytes(data: bytes, rng) -> bytes:
    start = int(rng.integers(len(data) + 1))
    end = start + int(rng.integers(0, 30))
    grown = [b"", rng.bytes(4), data[start:end] * 2, b"\xff\xfe", b"<!ENTITY a 'b'>"]
    return data[:start] if rng.random() < 0.3 else data[:start] + rng.choice(grown) + data[end:]


def damage_json(data: bytes, rng) -> bytes:
    try:
        document = json.loads(data)
    except ValueError:
        return data
    places = list(places_of(document))
    if not places:
        return data
    holder, key = places[rng.integers(len(places))]
    value = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    damage = rng.integers(4)
    if damage == 0:
        del holder[key]
    elif damage == 1 and isinstance(holder, dict):
        holder[str(value)[:20]] = holder.pop(key)
    elif damage == 2:  # another part of the same document, one that does not hold this place
        other, at = places[rng.integers(len(places))]
        holder[key] = copy.deepcopy(other[at])
    else:
        holder[key] = value
    return json.dumps(document).encode()


def places_of(document):
    """Every place in a document as its holder and key."""
    items = ()
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    for key, value in items:
        yield document, key
        yield from places_of(value)


def damage_xml(data: bytes, rng) -> bytes:
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return data
    elements = list(root.iter())
    element = elements[rng.integers(len(elements))]
    text = str(TEXTS[rng.integers(len(TEXTS))])
    damage = rng.integers(5)
    if damage == 0 and element.attrib:
        element.set(sorted(element.attrib)[rng.integers(len(element.attrib))], text)
    elif damage == 1 and element.attrib:
        del element.attrib[sorted(element.attrib)[rng.integers(len(element.attrib))]]
    elif damage == 2 and len(element):
        element.remove(element[int(rng.integers(len(element)))])
    elif damage == 3:
        element.tag = str(rng.choice(["a", "object", "box", "image", "annotation", "name"]))
    else:
        element.text = text
    return ElementTree.tostring(root)


def problem_of(example: Example, files: dict[str, bytes], folder: Path) -> str | None:
    """What is wrong with how a damaged delivery is read; None if nothing is."""
    for name, data in {**dict.fromkeys(example.scans, b"x"), **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))
    began = time.monotonic()
    try:
        annotations = read_annotations(folder, list_batch(folder))
    except Exception:
        return traceback.format_exc()
    if time.monotonic() - began > SLOW_SECONDS:
        return f"took {time.monotonic() - began:.0f} s"
    for box in (box for about in annotations.by_path.values() for box in about.boxes):
        if not np.isfinite([box.x, box.y, box.w, box.h]).all() or box.w <= 0 or box.h <= 0:
            return f"gave {box}"
    entries = sum(file.matched for file in annotations.files)
    lost = sum(file.entries for file in annotations.files) - entries
    boxes = sum(len(about.boxes) for about in annotations.by_path.values())
    labels = sum(about.label is not None for about in annotations.by_path.values())
    images = len(example.scans)
    reports = sum(problem.lines for problem in annotations.problems) + len(annotations.notices)
    # Every entry about a scan gives a box or a label, or mentions the scan, or is reported; those
    # about an image without a scan are reported with the image.
    if entries > boxes + labels + images + reports or (lost and not reports):
        return f"{entries} entries gave {boxes} boxes, {labels} labels and {reports} reports"
    read = {file.path for file in annotations.files}
    quiet = {name.encode() for name in files} - {b"meta.json"} - read
    quiet = {path for path in quiet if os.path.dirname(path) not in read}
    return f"{quiet} was passed over" if quiet else None


def fuzz(count: int, log=lambda message: None) -> Counter:
    """Read `count` damaged deliveries; what was wrong with them, by message."""
    found: Counter[str] = Counter()
    for number in range(count):
        example = EXAMPLES[number % len(EXAMPLES)]
        with tempfile.TemporaryDirectory(prefix="dental-fuzz-") as folder:
            files = damaged(example, number)
            if what := problem_of(example, files, Path(folder)):
                found[f"{example.form}: {what}"] += 1
                log(f"input {number} ({example.form}): {what}")
    return found


def main() -> int:
    """Fuzz and print what was wrong; the exit status is 1 if something was."""
    began = time.monotonic()
    found = fuzz(INPUTS, lambda message: print("FOUND", message, file=sys.stderr))
    print(f"{INPUTS} damaged label files, {time.monotonic() - began:.0f} s, {found.total()} wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
