"""Decode text files of people's programs: UTF-8, UTF-16 and, by a guess, older encodings.

Older encodings do not name themselves: Excel writes CSV as cp1252 in western Europe and as cp949 in
Korea. charset-normalizer alone is wrong about tables of a few lines (it takes German for cp1250 and
Turkish for cp1252), so it decides only between scripts that are neither Latin nor Korean.
"""

import codecs
import re
import unicodedata
from typing import NamedTuple

from charset_normalizer import from_bytes

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
OTHER_SCRIPTS = ["cp1251", "cp932", "gb18030", "big5"]
HIGH = re.compile(rb"[\x80-\xff]+")
# Letters of Turkish where cp1252 has those of Icelandic.
TURKISH = re.compile(rb"[\xd0\xdd\xde\xf0\xfd\xfe]")
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")


class DecodedText(NamedTuple):
    """A text, the encoding that it was decoded from, and whether that is a guess."""

    text: str
    encoding: str
    is_guess: bool = False


class UndecodableText(ValueError):
    """Bytes that are no text; the message begins with a verb."""


def decode_text(data: bytes) -> DecodedText:
    """Decode the bytes of a text file. Raises UndecodableText for others."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return DecodedText(_decode(data[len(mark) :], encoding), encoding)
    if encoding := _wide_encoding(data):
        return DecodedText(_decode(data, encoding), encoding, is_guess=True)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if error.end == len(data) and "unexpected end" in error.reason and _is_utf8(data):
            raise UndecodableText("ends within a character; copy it again") from None
        if _is_utf8(data):
            line = data.count(b"\n", 0, error.start) + 1
            raise UndecodableText(
                f"is UTF-8 text but for its line {line}; save it as UTF-8"
            ) from None
        return _guess(data)
    return DecodedText(text, "utf-8")


def decode_start(start: bytes) -> str:
    """Decode the beginning of a text file, whose last line and character may be cut."""
    marked = (encoding for mark, encoding in BOMS[1:] if start.startswith(mark))
    if wide := next(marked, None) or _wide_encoding(start):
        return start.decode(wide, errors="ignore").removeprefix("\ufeff")
    return decode_text(start[: start.rfind(b"\n") + 1] or start).text


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end >= len(data):
            raise UndecodableText("ends within a character; copy it again") from None
        name = encoding[:-3].upper()
        raise UndecodableText(f"begins as {name} text but is none; save it as UTF-8") from None


def _is_utf8(data: bytes) -> bool:
    """Whether most bytes beyond ASCII are UTF-8; some pairs of cp949 are, too, by chance."""
    text = data.decode(errors="surrogateescape")
    bad = sum("\udc80" <= char <= "\udcff" for char in text)
    return sum(char > "\x7f" for char in text) - bad > 4 * bad


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 without its mark, by the zeros in every other byte of letters, digits and commas."""
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(data) > 1 and 3 * data[offset::2].count(0) > len(data):
            return encoding
    return None


def _guess(data: bytes) -> DecodedText:
    """Decode text that is not UTF-8."""
    for encoding in _likely_encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not CONTROLS.search(text):
            return DecodedText(text, encoding, is_guess=True)
    raise UndecodableText("is not text in a known encoding; save it as UTF-8")


def _likely_encodings(data: bytes) -> list[str]:
    """Encodings to try, the likeliest first."""
    if _is_korean(data):
        return ["cp949"]
    latin = ["cp1254"] if TURKISH.search(data) else []
    if _letters(data, "cp1250") > _letters(data, "cp1252"):
        latin.append("cp1250")
    latin += ["cp1252", "cp1250"]
    # No Latin word has more than two letters with accents in a row.
    if max(len(run) for run in HIGH.findall(data)) > 2:
        found = from_bytes(data, cp_isolation=OTHER_SCRIPTS).best()
        return [*([found.encoding] if found else []), *latin]
    return latin


def _is_korean(data: bytes) -> bool:
    """Whether nearly all pairs of bytes are common Hangul of cp949.

    Both bytes of a common syllable are above A0; `Är` of cp1252 is a rare one.
    """
    try:
        text = data.decode("cp949")
    except UnicodeDecodeError:
        return False
    beyond = [char for char in text if char > "\x7f"]
    hangul = [char for char in beyond if "가" <= char <= "힣"]
    common = sum(min(char.encode("cp949")) > 0xA0 for char in hangul)
    return 10 * len(hangul) >= 9 * len(beyond) and 4 * common >= 3 * len(hangul)


def _letters(data: bytes, encoding: str) -> int:
    """The number of letters beyond ASCII that the bytes are in an encoding."""
    text = data.decode(encoding, errors="replace")
    return sum(char > "\x7f" and unicodedata.category(char)[0] == "L" for char in text)
