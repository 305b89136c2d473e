"""Normalise labels to the spelling that is stored, for deliveries and settings alike."""

import re
from typing import Annotated

from pydantic import AfterValidator

# Labels are stored as delivered, so they must be names of findings, not free text.
SPELLING = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,39}")
EXPECTED = "1 to 40 of a-z, 0-9, `_`, `.`, `+`, `-`, once in lower case with `_` for blanks"


def clean_label(text: str) -> str | None:
    """A label in the stored spelling: lower case, `_` for blanks; None if it is not valid."""
    label = "_".join(text.strip().casefold().split())
    return label if SPELLING.fullmatch(label) else None


def _require_label(text: str) -> str:
    if (label := clean_label(text)) is None:
        raise ValueError(f"a label has {EXPECTED}")
    return label


# Labels in settings are normalised like delivered ones: `Healthy` is `healthy`.
Label = Annotated[str, AfterValidator(_require_label)]
