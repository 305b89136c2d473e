"""The one spelling of a label: what is stored, whatever form a delivery or a setting gives it."""

import re
from typing import Annotated

from pydantic import AfterValidator

# Labels are stored as delivered, so they must be words for findings, not room for free text.
SPELLING = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,39}")
EXPECTED = "1 to 40 of a-z, 0-9, `_`, `.`, `+`, `-` once capitals are small and blanks are `_`"


def clean_label(text: str) -> str | None:
    """A label in the one spelling that is stored, or None when it is no word for a finding."""
    label = "_".join(text.strip().casefold().split())
    return label if SPELLING.fullmatch(label) else None


def _require_label(word: str) -> str:
    if (label := clean_label(word)) is None:
        raise ValueError(f"a label has {EXPECTED}")
    return label


# A setting that is a label means what a delivery means by it: `Neu` is `neu`.
Label = Annotated[str, AfterValidator(_require_label)]
