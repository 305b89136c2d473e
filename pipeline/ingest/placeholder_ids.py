"""Patient IDs that name no one, such as ANONYMOUS, which devices and anonymisers write."""

import re
import unicodedata
from collections.abc import Iterable


class Placeholders:
    """The IDs of the setting `placeholder_ids`, compared trimmed and without regard to case."""

    def __init__(self, ids: Iterable[str]):
        self._forms = {"", *map(_form, ids)}

    def has(self, text: str) -> bool:
        """Whether a DICOM PatientID is a placeholder."""
        return _form(text) in self._forms

    def has_word(self, text: str) -> bool:
        """Whether a table's cell or a folder is a placeholder: they may number patients from 0."""
        return not _form(text).isdecimal() and self.has(text)


def _form(text: str) -> str:
    """Case folded, without marks around it; any number of zeros is one, `_` and blanks are one."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    form = " ".join(re.sub(r"^[\W_]+|[\W_]+$", "", folded).replace("_", " ").split())
    return "0" if form and not form.strip("0") else form
