"""Labels in the spelling that is stored, for deliveries and settings alike; reviewers' codes."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator

# Labels are stored as delivered, so they must be names of findings, not free text.
SPELLING = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,39}")
DELIVERED = "delivered"  # the source of labels that came with scans, so no reviewer's code
REVIEWER = re.compile(r"[a-z0-9_-]{1,16}")  # a code, since it is stored
EXPECTED = "1 to 40 of a-z, 0-9, `_`, `.`, `+`, `-`, once in lower case with `_` for blanks"
# Letters with a plain base letter that Unicode does not decompose.
PLAIN = str.maketrans(
    {"ı": "i", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe"}
    | {"þ": "th", "ŋ": "n", "ĸ": "k"}
)
ACCENTS = re.compile(r"(?<=[a-z])[\u0300-\u036f]+")  # on plain letters only: й is not и

Numbering = Literal["fdi", "universal", "palmer"]


def fold(text: str) -> str:
    """Text in lower case, with plain letters for those with accents and the like: `ü` is `u`."""
    letters = unicodedata.normalize("NFKD", text.casefold().translate(PLAIN))
    return unicodedata.normalize("NFC", ACCENTS.sub("", letters))


def clean_label(text: str) -> str | None:
    """A label in the stored spelling: folded, `_` for blanks; None if it is not valid."""
    label = "_".join(fold(text).split())
    return label if SPELLING.fullmatch(label) else None


def name_key(text: str) -> str:
    """What names in the setting `class_names` are compared by: no case, accents or blanks."""
    return re.sub(r"[\s_]+", "", fold(text))


def reviewer_problem(code: str) -> str | None:
    """Why a text is no reviewer's code; None for one that is."""
    if REVIEWER.fullmatch(code) and code != DELIVERED:
        return None
    return (
        f"reviewer `{code}` is not a code of 1 to 16 lower-case letters, digits, `_` or `-`; codes "
        f"are stored, so use no names (and not `{DELIVERED}`)"
    )


def _require_label(text: str) -> str:
    if (label := clean_label(text)) is None:
        raise ValueError(f"a label has {EXPECTED}")
    return label


# Labels in settings are normalised like delivered ones: `Healthy` is `healthy`.
Label = Annotated[str, AfterValidator(_require_label)]


def _require_names(names: Mapping[str, str]) -> Mapping[str, str]:
    seen: dict[str, str] = {}
    for name, label in names.items():
        key = name_key(name)
        if not key:
            raise ValueError("a class name without a letter")
        other = seen.setdefault(key, name)
        if names[other] != label:
            raise ValueError(f"`{other}` and `{name}` are the same class name with two labels")
    return names


ClassNames = Annotated[dict[str, Label], AfterValidator(_require_names)]
