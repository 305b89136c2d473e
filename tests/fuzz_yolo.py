"""Damage YOLO files and read them: no exception, no hang, and every line a box or a problem.

Each input is a valid delivery of one form in which lines, numbers or bytes were replaced by a
seeded generator, so that a run can be repeated exactly. `make fuzz` reads 6,000, the tests 500.
"""

import math
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.labels.yolo.lines import is_header
from pipeline.ingest.list_files import list_batch
from tests.builders.yolo_forms import YOLO_FORMS, YoloForm

INPUTS, SEED, SLOW_SECONDS = 6_000, 0, 5.0
LONG_AGO = 10**9  # listing waits for recent files, which may be growing
TOKENS = ["0", "1", "7", "-1", "0.0", "1e0", "1e999", "nan", "inf", "1_0", "9" * 5_000, "0,5", ".5"]
TOKENS += [
    "",
    "caries",
    "Deep Caries",
    "龋齿",
    "11",
    "36",
    "UR6",
    "caries_36",
    "x" * 300,
    "\0",
    ":",
]
TOKENS += [
    "imagesource:x",
    "gsd:",
    "2",
    "512",
    "0.5 0.5",
    "#",
    "'",
    "[",
    "{",
    "- a",
    "&a",
    "*a",
    "\t",
]
# YAML and class lists are read whole, so that their lines are no boxes.
CLASS_FILES = (".yaml", ".yml", ".names", ".labels", "classes.txt")


def damaged(form: YoloForm, number: int) -> dict[str, bytes]:
    """The files of a form, with one to four kinds of damage."""
    rng = np.random.default_rng((SEED, number))
    files = {name: text.encode() for name, text in form.files.items()}
    for _ in range(rng.integers(1, 5)):
        name = sorted(files)[rng.integers(len(files))]
        damage = (replace_token, replace_token, insert_token, repeat_line, cut, flip)
        files[name] = damage[rng.integers(len(damage))](files[name], rng)
    return files


def replace_token(data: bytes, rng) -> bytes:
    lines = data.split(b"\n")
    at = rng.integers(len(lines))
    tokens = lines[at].split(b" ")
    tokens[rng.integers(len(tokens))] = TOKENS[rng.integers(len(TOKENS))].encode()
    lines[at] = b" ".join(tokens)
    return b"\n".join(lines)


def insert_token(data: bytes, rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + TOKENS[rng.integers(len(TOKENS))].encode() + b" " + data[at:]


def repeat_line(data: bytes, rng) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([*lines, lines[rng.integers(len(lines))], b""])


def cut(data: bytes, rng) -> bytes:
    start = int(rng.integers(len(data) + 1))
    return data[:start] + data[start + int(rng.integers(0, 30)) :]


def flip(data: bytes, rng) -> bytes:
    flipped = bytearray(data)
    if flipped:
        flipped[rng.integers(len(flipped))] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files that listing does not wait for."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))


def problem_of(form: YoloForm, files: dict[str, bytes], folder: Path) -> str | None:
    """What is wrong with how a damaged delivery is read; None if nothing is."""
    write(folder, {form.scan: b"", **files})
    began = time.monotonic()
    try:
        annotations = read_annotations(folder, list_batch(folder))
    except Exception:
        return traceback.format_exc()
    if time.monotonic() - began > SLOW_SECONDS:
        return f"took {time.monotonic() - began:.0f} s"
    return _wrong_box(annotations) or _lost_line(annotations, files)


def _wrong_box(annotations: Annotations) -> str | None:
    for box in (box for about in annotations.by_path.values() for box in about.boxes):
        if not all(map(math.isfinite, (box.x, box.y, box.w, box.h))) or box.w <= 0 or box.h <= 0:
            return f"gave {box}"
    unlabelled = [box for a in annotations.by_path.values() for box in a.boxes if not box.label]
    kinds = {report.kind for report in (*annotations.problems, *annotations.notices)}
    if unlabelled and not kinds & {"unknown_class", "tooth_classes", "numbering"}:
        return f"gave {unlabelled[0]} without a reason"
    return None


def _lost_line(annotations: Annotations, files: dict[str, bytes]) -> str | None:
    lines = 0
    for name, data in files.items():
        if name.endswith(CLASS_FILES) or name in ("train.txt", "obj.data"):
            continue
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            if not any(problem.where == name for problem in annotations.problems):
                return f"{name} was not read and not reported"
            continue
        lines += sum(bool(line.strip()) and not is_header(line) for line in text.splitlines())
    boxes = sum(len(about.boxes) for about in annotations.by_path.values())
    unusable = [p for p in annotations.problems if p.kind == "unusable_line" and p.path]
    if lines != boxes + len(unusable):
        return f"{lines} lines gave {boxes} boxes and {len(unusable)} problems"
    return None


def fuzz(count: int, log=lambda message: None) -> Counter:
    """Read `count` damaged deliveries; what was wrong with them, by message."""
    found: Counter[str] = Counter()
    for number in range(count):
        form = YOLO_FORMS[number % len(YOLO_FORMS)]
        with tempfile.TemporaryDirectory(prefix="dental-fuzz-") as folder:
            if what := problem_of(form, damaged(form, number), Path(folder)):
                found[f"{form.name}: {what}"] += 1
                log(f"input {number} ({form.name}): {what}")
    return found


def main() -> int:
    """Fuzz and print what was wrong; the exit status is 1 if something was."""
    began = time.monotonic()
    found = fuzz(INPUTS, lambda message: print("FOUND", message, file=sys.stderr))
    print(f"{INPUTS} damaged YOLO files, {time.monotonic() - began:.0f} s, {found.total()} wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
