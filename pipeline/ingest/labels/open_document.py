"""Open label files in JSON and XML as documents: whole, or item by item if they are large.

XML is read without entities, of which a few lines can unfold to gigabytes.
"""

import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

import ijson
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from pipeline.ingest.batch_folder import BatchFolder, S3Folder
from pipeline.ingest.labels.annotations import MAX_LABEL_BYTES, read_bytes
from pipeline.ingest.list_files import Entry, open_below, suffix

# Of a COCO file. Measured: 100 MB a second in each of four passes; 65 MB with 60,000 polygons grow
# the process by 45 MB instead of 230.
MAX_STREAMED_BYTES = 1_000_000_000
MAX_DEPTH = 100  # of a file that is read item by item
STREAM_ERRORS = (ijson.JSONError, OSError)
Report = Callable[[str, str, str], None]
JSON, XML = b".json", b".xml"
SUFFIXES = (JSON, XML)
STATED_ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
EAST_ASIAN = re.compile(rb"(?i)gb|big5|cp9|euc|shift|sjis|ks_c|johab|iso-2022|hz")
MAX_KEYS = 6  # in a message


class StreamedLists(Mapping):
    """The lists of a large JSON object, each read from the file whenever it is iterated.

    Iterating raises STREAM_ERRORS.
    """

    def __init__(self, opened: Callable[[], BinaryIO]):
        self._opened = opened
        with opened() as file:
            self._keys = _top_keys(file)

    def __getitem__(self, key: str) -> "_StreamedList":
        if key not in self._keys:
            raise KeyError(key)
        return _StreamedList(self._opened, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _top_keys(file: BinaryIO) -> list[str]:
    """The keys of a JSON object, in their order; none for other JSON. Raises ijson.JSONError.

    Deep nesting is refused: ijson.items keeps the path of every level, which takes the square of
    the depth. 200 KB of brackets took all memory.
    """
    keys, depth = [], 0
    for event, value in ijson.basic_parse(file, use_float=True):
        if event in ("start_map", "start_array"):
            depth += 1
            if depth > MAX_DEPTH:
                raise ijson.JSONError("nested too deeply")
        elif event in ("end_map", "end_array"):
            depth -= 1
        elif depth == 1 and event == "map_key":
            keys.append(value)
    return keys


class _StreamedList:
    def __init__(self, opened: Callable[[], BinaryIO], key: str):
        self._opened, self._key = opened, key

    def __iter__(self) -> Iterator:
        with self._opened() as file:
            yield from ijson.items(file, f"{self._key}.item", use_float=True)


def open_document(folder: BatchFolder, entry: Entry, report: Report):
    """The document of a label file; None, and a problem, if it cannot be read."""
    if suffix(entry) == XML:
        return _open_xml(folder, entry, report)
    if entry.size > MAX_LABEL_BYTES:
        return _open_large(folder, entry, report)
    data = read_bytes(folder, entry, report)
    if data is None:
        return None
    try:
        document = json.loads(data)  # in UTF-8, UTF-16 or UTF-32
    except UnicodeDecodeError:
        what = "is not UTF-8 text; save it as UTF-8, its labels are missing"
        report("unreadable", os.fsdecode(entry.path), what)
        return None
    except (ValueError, RecursionError) as error:
        report_damage(entry, report, error)
        return None
    # `null` is a document, too.
    return document if document is not None else ()


def report_damage(entry: Entry, report: Report, error: Exception) -> None:
    """Report that a file is not valid JSON, or became unreadable while it was being read."""
    if isinstance(error, OSError):
        what = f"cannot be read ({error.strerror}); its labels are missing"
        report("unreadable", os.fsdecode(entry.path), what)
        return
    where = f"{os.fsdecode(entry.path)} line {getattr(error, 'lineno', 1)}"
    report("unreadable", where, "is not JSON; its labels are missing")


def _open_large(folder: BatchFolder, entry: Entry, report: Report) -> StreamedLists | None:
    name = os.fsdecode(entry.path)
    if entry.size > MAX_STREAMED_BYTES:
        what = f"has more than {MAX_STREAMED_BYTES} bytes; split it, its labels are missing"
        report("unreadable", name, what)
        return None
    try:
        lists = StreamedLists(_opener(folder, entry))
    except STREAM_ERRORS as error:
        report_damage(entry, report, error)
        return None
    if "images" in lists and "annotations" in lists:
        return lists
    what = f"has more than {MAX_LABEL_BYTES} bytes and is no COCO file, which may have more; "
    report("unreadable", name, f"{what}split it, its labels are missing")
    return None


def _opener(folder: BatchFolder, entry: Entry) -> Callable[[], BinaryIO]:
    """What opens a file anew; an object on S3 is fetched once and kept."""
    if isinstance(folder, S3Folder):
        return partial(io.BytesIO, folder.read_prefetched(entry.path))
    return partial(_opened, folder, entry)


def _opened(folder: BatchFolder, entry: Entry) -> BinaryIO:
    descriptor = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, follow_links=True)
    return open(descriptor, "rb")


def _open_xml(folder: BatchFolder, entry: Entry, report: Report) -> Element | None:
    name = os.fsdecode(entry.path)
    data = read_bytes(folder, entry, report)
    if data is None:
        return None
    try:
        return fromstring(_decoded(data))
    except ParseError as error:
        where = f"{name} line {error.position[0]}"
        report("unreadable", where, "is not XML; its labels are missing")
    except DefusedXmlException:
        report("unreadable", name, "has XML entities, which are not read; its labels are missing")
    except (ValueError, LookupError):  # of its encoding
        what = (
            "is not UTF-8 text, nor in the encoding that it states; save it as UTF-8, its labels "
        )
        report("unreadable", name, f"{what}are missing")
    return None


def _decoded(data: bytes) -> bytes | str:
    """An XML file as text if it states no encoding or one that the XML parser does not know."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return data
    stated = STATED_ENCODING.match(data)
    if stated is None:
        return data.decode("utf-8-sig")
    return data.decode(stated[1].decode()) if EAST_ASIAN.match(stated[1]) else data


def describe(document) -> str:
    """What a document that is no label file is, for a message."""
    if isinstance(document, Element):
        return f"XML of `{document.tag[:40]}`"
    if isinstance(document, dict):
        keys = ", ".join(f"`{str(key)[:40]}`" for key in list(document)[:MAX_KEYS])
        more = ", …" if len(document) > MAX_KEYS else ""
        return f"a JSON object of {keys}{more}" if keys else "an empty JSON object"
    if isinstance(document, list):
        is_of_objects = document and isinstance(document[0], dict)
        return f"a JSON list of {describe(document[0])}" if is_of_objects else "a JSON list"
    return "a JSON value"
