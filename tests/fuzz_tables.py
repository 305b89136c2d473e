"""Damage tables of labels and read them: no exception, no hang, and no value lost in silence.

Each input is a valid table with other headings, values, delimiters and encodings, drawn by a seeded
generator, so that a run can be repeated exactly. Every row is about a scan of its own, so what
became of its values shows at that scan. In every fourth input, bytes are damaged as well; then only
what holds for any bytes is required. Every twentieth input is a damaged table of VIA. `make fuzz`
reads 10,000, the tests 250.
"""

import csv
import io
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
from openpyxl.utils.exceptions import IllegalCharacterError

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch
from tests.builders.via_table import VIA

INPUTS, SEED, SLOW_SECONDS = 10_000, 0, 5.0
LONG_AGO = 10**9  # listing waits for recent files, which may be growing
SCANS = tuple(f"{letter}.png" for letter in "abcdef")
HEADINGS = {
    "name": ["file", "Image_ID", "File Name", "IMAGE-PATH", "파일명"],
    "label": ["label", "Class", "Finding", "Befund", "진단"],
    "patient": ["patient", "Patient ID", "subject", "group"],
    "tooth": ["tooth", "FDI", "Zahn"],
    "bits": ["bits"],
}
BOXES = (
    ["x", "y", "w", "h"],
    ["xmin", "ymin", "xmax", "ymax"],
    ["x_min", "y_min", "x_max", "y_max"],
    ["Left", "Top", "Width", "Height"],
    ["x1", "y1", "x2", "y2"],
)
VALID = {
    "label": ["caries", "Deep Caries", "Karies?", "çürük", "충치", "healthy", ""],
    "patient": ["Ann", "1001", "1001.0", "Müller", "김철수", ""],
    "tooth": ["18", "18.0", "36", "85", "99", ""],
    "bits": ["12", "12.0", "8", ""],
}
STRANGE = (
    *("nan", "inf", "-1", "1e999", "1,5", "1.234,5", "1_0", "0", "1", "true", "=1+1", "'x", "NULL"),
    *('"', "a;b", "a,b", "a\tb", "a|b", "two\nlines", "\u2028", "x" * 300, "36 caries", "9" * 400),
    *("../a.png", "b.png", "çürük", "환자", "\x85", "\x0b", "sep=;", " ", "\ufeff", "٣"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "cp949")
NAMES = {",": "t.csv", ";": "t.csv", "\t": "t.txt", "|": "t.tsv"}


@dataclass
class Made:
    """A table, and the values of its rows by their meaning; the box is a list of four."""

    name: str
    data: bytes
    rows: list[dict]
    is_damaged: bool


def make_table(number: int) -> Made:
    """Make input `number`."""
    rng = np.random.default_rng((SEED, number))

    if number % 20 == 19:
        return Made("via.csv", _damage(VIA.encode(), rng), [], is_damaged=True)

    def pick(values):
        return values[rng.integers(len(values))]

    meanings = ["name", *(each for each in VALID if rng.random() < 0.7)]
    box = pick(BOXES) if rng.random() < 0.6 else []
    header = [pick(HEADINGS[each]) for each in meanings] + box
    rows, lines = [], []
    for scan in SCANS[: rng.integers(1, len(SCANS) + 1)]:
        row = {"name": scan} | {each: pick(VALID[each]) for each in meanings[1:]}
        row["box"] = [str(n) for n in (10, 20, 40.5, 60)] if rng.random() < 0.8 else [""] * 4
        row["box"] = row["box"][: len(box)]
        if rng.random() < 0.4:
            place = pick([*meanings, *range(len(box))])
            holder = row["box"] if isinstance(place, int) else row
            holder[place] = pick(STRANGE)
        rows.append(row)
        lines.append([*(row[each] for each in meanings), *row["box"]])
    order = rng.permutation(len(header))
    table = [[line[place] for place in order] for line in (header, *lines)]
    if rng.random() < 0.2:
        table = [["" if n == 0 else str(n - 1), *line] for n, line in enumerate(table)]
    in_excel = _excel(table) if rng.random() < 0.15 else None
    name, data = ("t.xlsx", in_excel) if in_excel else _text(table, rng)
    is_damaged = number % 4 == 3
    return Made(name, _damage(data, rng) if is_damaged else data, rows, is_damaged)


def _excel(table: list[list[str]]) -> bytes | None:
    """An Excel file; None for texts that it cannot hold."""
    book, data = openpyxl.Workbook(), io.BytesIO()
    for line in table:
        try:
            book.active.append(line)
        except IllegalCharacterError:
            return None
    for row in book.active.iter_rows():
        for cell in row:
            cell.data_type = "s" if cell.value else cell.data_type  # `=1+1` is a text here
    book.save(data)
    return data.getvalue()


def _text(table: list[list[str]], rng) -> tuple[str, bytes]:
    delimiter = str(rng.choice([*NAMES]))
    text = io.StringIO()
    text.write(str(rng.choice(["", "", "\n", "Export\n", f"sep={delimiter}\n"])))
    quoting = csv.QUOTE_ALL if rng.random() < 0.2 else csv.QUOTE_MINIMAL
    end = str(rng.choice(["\n", "\r\n"]))
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(table)
    name = NAMES[delimiter] if len(table[0]) > 1 else "t.csv"  # a list in a .txt is no table
    try:
        return name, text.getvalue().encode(str(rng.choice(ENCODINGS)))
    except UnicodeEncodeError:
        return name, text.getvalue().encode()


def _damage(data: bytes, rng) -> bytes:
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(data) + 1))
        end = start + int(rng.integers(0, 30))
        more = [b"", rng.bytes(4), data[start:end] * 2, b'"', b"\0", b"\xff\xfe", b"\n\n", b",;"]
        cut = data[:start] if rng.random() < 0.2 else data[:start] + data[end:]
        data = cut[:start] + more[rng.integers(len(more))] + cut[start:]
    return data


def problem_of(made: Made, folder: Path) -> str | None:
    """What is wrong with how a table is read; None if nothing is."""
    for name, data in {**dict.fromkeys(SCANS, b"x"), made.name: made.data}.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, (LONG_AGO, LONG_AGO))
    began = time.monotonic()
    try:
        found = read_annotations(folder, list_batch(folder))
    except Exception:
        return traceback.format_exc()
    if time.monotonic() - began > SLOW_SECONDS:
        return f"took {time.monotonic() - began:.0f} s"
    for box in (box for about in found.by_path.values() for box in about.boxes):
        if not np.isfinite([box.x, box.y, box.w, box.h]).all() or box.w <= 0 or box.h <= 0:
            return f"gave {box}"
    unread = [file for file in found.files if file.form == "unknown"]
    if unread and not found.problems and made.data:
        return "was passed over"
    unmatched = sum(file.entries - file.matched for file in found.files)
    if unmatched > sum(each.kind in ("missing_scan", "ambiguous") for each in found.problems):
        return f"{unmatched} rows without a scan were not reported"
    return None if made.is_damaged else _loss(made, found)


def _loss(made: Made, found: Annotations) -> str | None:
    """What of an undamaged table was neither read nor reported."""
    if len(found.files) != 1 or found.files[0].form != "csv":
        return f"was not read: {found.files} {[str(each) for each in found.problems]}"
    rows = [row for row in made.rows if row["name"] in SCANS]
    names = Counter(row["name"].removeprefix("../") for row in made.rows)
    for row in rows:
        about = found.by_path.get(row["name"].encode())
        if about is None:
            return f"{row} was passed over"
        if names[row["name"]] > 1 or about.problems:
            continue
        values = {each: row.get(each, "").strip() for each in VALID}
        box = any(text.strip() for text in row["box"])
        label = about.label or any(each.label for each in about.boxes)
        label = label or found.files[0].tooth_classes
        tooth = about.tooth or any(each.tooth for each in about.boxes)
        read = {"label": label, "patient": about.patient, "tooth": tooth, "bits": about.bits}
        lost = [each for each, value in values.items() if value and not read[each]]
        if lost or box != bool(about.boxes):
            return f"{lost or 'box'} of {row} was lost: {about}"
    return None


def fuzz(count: int, log=lambda message: None) -> Counter:
    """Read `count` tables; what was wrong with them, by message."""
    found: Counter[str] = Counter()
    for number in range(count):
        made = make_table(number)
        with tempfile.TemporaryDirectory(prefix="dental-fuzz-") as home:
            if what := problem_of(made, Path(home)):
                found[f"input {number}, {made.name}: {what}"] += 1
        if number % 1000 == 999:
            log(f"{number + 1} of {count} tables, {found.total()} with a fault")
    return found


def main() -> int:
    """Fuzz, print what was wrong; the exit status is 1 if anything was."""
    found = fuzz(INPUTS, lambda message: print("…", message, file=sys.stderr))
    print(f"{INPUTS} tables of labels, {found.total()} with a fault")
    for what, _ in found.most_common(20):
        print("FOUND", what)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
