"""What a file of a delivery is by its name: to be ignored, no scan, or perhaps a scan.

One table of patterns for each kind. They match names without regard to case. A file whose name
says that it is no scan is one all the same when its content is an image: `is_image` decides.
"""

import os
import re
from fnmatch import translate

# What operating systems, storage appliances and programs leave behind. Whole folders of these names
# are skipped.
IGNORED = (
    ".*",
    # Windows
    "thumbs.db",
    "ehthumbs*.db",
    "desktop.ini",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "found.[0-9][0-9][0-9]",
    "~$*",
    "*zone.identifier",  # a stream of an NTFS file; its colon becomes another sign in some copies
    # macOS
    "__macosx",
    "icon\r",
    "network trash folder",
    "temporary items",
    # Linux
    "lost+found",
    # Storage appliances of Synology, QNAP and NetApp
    "@eadir",
    "@tmp",
    "*@syno*",
    "#recycle",
    "#snapshot",
    "@recycle",
    "@recently-snapshot",
    "~snapshot",
    # Programs
    "__pycache__",
)
# Files of transfers and edits that have not ended.
UNFINISHED = (
    "*.part",
    "*.partial",
    "*.filepart",
    "*.crdownload",
    "*.download",
    "*.opdownload",
    "*.aria2",
    "*.tmp",
    "*.temp",
    "*.swp",
    "*~",
)

DOCUMENT, PROGRAM, WEB_PAGE, DICOMDIR = "document", "program file", "web page", "DICOMDIR file"
# Suffixes of files that are neither scans nor labels, by kind.
NOT_SCANS = {
    DOCUMENT: "doc docx docm dot dotx odt rtf md rst tex bib txt ppt pptx pps ppsx odp pages key "
    "epub eml msg xps cff log md5 sha1 sha256 sha512 sfv",
    PROGRAM: "exe dll app jar bat cmd sh inf msi ps1 vbs so dylib class py pyc ipynb ini cfg conf "
    "config lnk url desktop webloc ico icns manifest plist reg sys ocx pl rb cpp java",
    WEB_PAGE: "html htm xhtml mht mhtml css js mjs map svg woff woff2 ttf otf eot php asp aspx",
}
# Suffixes of files that may hold labels, in forms that are not read.
UNREAD_LABELS = {
    "Excel file": "xls xlsx xlsm xlsb",
    "OpenDocument table": "ods",
    "TSV file": "tsv tab",
    "JSON Lines file": "jsonl ndjson",
    "Parquet file": "parquet feather arrow",
    "NumPy file": "npy npz",
    "MATLAB file": "mat",
    "pickle file": "pkl pickle",
    "HDF5 file": "h5 hdf5",
    "statistics file": "sav dta rds rdata",
    "database file": "db sqlite sqlite3 mdb accdb",
}
KIND_OF_SUFFIX = {
    f".{suffix}": kind
    for kind, suffixes in (NOT_SCANS | UNREAD_LABELS).items()
    for suffix in suffixes.split()
}
ALWAYS_LABELS = {b".csv", b".json", b".labels", b".names", b".xml", b".yaml", b".yml"}
# Texts that come with public data sets and programs, mostly without a suffix.
TEXTS = re.compile(
    r"(readme|licen[cs]e).*|(copying|notice|changelog|citation|authors|contributors|manifest"
    r"|version|checksums?|(md5|sha\d+)sums?)(\.[a-z]+)?|obj\.data"
)
# The first bytes of the images that are read; a DICOM file has its sign behind a preamble.
IMAGE_START = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|II[*+]\0|MM\0[*+]|BM.{4}\0{4}|RIFF.{4}WEBP|.{128}DICM",
    re.DOTALL,
)
START_BYTES = 132

_IGNORED = re.compile("|".join(map(translate, IGNORED)))
_UNFINISHED = re.compile("|".join(map(translate, UNFINISHED)))


def is_ignored_folder(name: bytes) -> bool:
    """Whether a folder of this name is skipped with everything in it."""
    return _IGNORED.match(_folded(name)) is not None


def is_system_folder(name: bytes) -> bool:
    """Whether a folder of this name is one to skip, other than by a dot, which people give too."""
    return is_ignored_folder(name) and (not name.startswith(b".") or name.startswith(b".Trash"))


def is_ignored(path: bytes) -> bool:
    """Whether a file is skipped for its name or for that of a folder that it is in."""
    unfinished = _UNFINISHED.match(_folded(os.path.basename(path))) is not None
    return unfinished or any(map(is_ignored_folder, path.split(b"/")))


def other_kind(path: bytes) -> str | None:
    """The kind of a file whose name says that it is neither a scan nor a label file; else None.

    A .txt counts as a document; list_files knows which belong to images and are label files.
    """
    *folders, name = map(_folded, path.split(b"/"))
    suffix = os.path.splitext(name)[1]
    if name.split(".")[0].split(";")[0] == "dicomdir":
        return DICOMDIR
    if is_text(path) and suffix.encode() not in ALWAYS_LABELS:
        return DOCUMENT
    if any(folder.endswith(".app") for folder in folders):  # of macOS, where a program is a folder
        return PROGRAM
    return KIND_OF_SUFFIX.get(suffix)


def is_text(path: bytes) -> bool:
    """Whether a file is named as a text that comes with data or programs."""
    return TEXTS.fullmatch(_folded(os.path.basename(path))) is not None


def is_image(start: bytes) -> bool:
    """Whether a file that begins with these bytes, at least START_BYTES if it has them, is one."""
    return IMAGE_START.match(start) is not None


def _folded(name: bytes) -> str:
    # Names need not be valid text.
    return os.fsdecode(name).casefold()
