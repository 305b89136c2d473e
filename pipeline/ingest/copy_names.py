"""Recognise by their names the copies that tools make of a scan.

`source_stem` returns the name a copy was made from. These names are recognised, in any case, alone
or one after another, with `-`, `_`, `.` or a blank before the word:

    NAME.rf.HASH, NAME_jpg.rf.HASH          Roboflow
    FOLDER_original_NAME.jpg_UUID           Augmentor
    NAME_aug_3, NAME-flipped, NAME_rot90    a word of `WORDS`, then up to three numbers
    aug_3_NAME, flipped-NAME                the same words in front
    NAME - Copy, NAME_copy2, Copy of NAME   file managers
"""

import re

# What augmentation tools write behind a name. `(1)` is missing: file managers number different
# files so when many are renamed at once.
WORDS = (
    r"aug(?:m|mented|mentation)?",
    r"[hv]?[-_]?(?:flip(?:ped)?|mirror(?:ed)?)(?:[-_]?(?:lr|ud|[hvxy]|horizontal(?:ly)?|vertical(?:ly)?))?",
    r"(?:horizontal|vertical)(?:ly)?[-_]?(?:flip(?:ped)?|mirror(?:ed)?)",
    r"rot(?:at(?:e|ed|ion))?",
    r"noise|noisy|gauss(?:ian)?[-_]?noise|salt[-_]?(?:and[-_]?)?pepper",
    r"blur(?:red)?|gauss(?:ian)?[-_]?blur|sharp(?:en(?:ed)?)?",
    r"bright(?:er|ness|ened)?|dark(?:er|ened)?|contrast|gamma|exposure|invert(?:ed)?",
    r"clahe|hist(?:ogram)?[-_]?eq|equali[sz]ed?|enhanced?",
    r"crop(?:ped)?|zoom(?:ed)?|scaled?|resized?|shift(?:ed)?|translat(?:ed?|ion)",
    r"shear(?:ed)?|elastic|warp(?:ed)?|distort(?:ed|ion)?|jitter|cutout|affine|transform(?:ed)?",
    r"copy|kopie|copie",
)
WORD = "|".join(WORDS)
EXTENSION = "jpe?g|png|tiff?|bmp|webp|dcm|dicom"
ROBOFLOW = re.compile(rf"(.+?)(?:[._](?:{EXTENSION}))?\.rf\.[0-9a-z]{{6,}}", re.IGNORECASE)
AUGMENTOR = re.compile(rf".*_original_(.+?)\.(?:{EXTENSION})_[0-9a-f-]{{32,36}}", re.IGNORECASE)
NUMBERS = r"[-_ ]{0,2}[0-9]{0,3}(?:[-_ .]{1,2}[0-9]{1,3}){0,2}"
BEHIND = re.compile(rf"(.+?)(?:[-_.]| +-? ?)(?:{WORD}){NUMBERS}", re.IGNORECASE)
BEFORE = re.compile(rf"(?:{WORD})(?:[-_ ][0-9]{{1,3}})?(?:[-_]| +(?:of )?)(.+)", re.IGNORECASE)
YEAR = re.compile("(?:19|20)[0-9]{2}")  # 2024_aug_3 is a day in August


def source_stem(stem: str) -> str | None:
    """Return the stem of the scan that the scan named `stem` is a copy of; None for no copy."""
    source = stem
    while found := _match(source):
        source = found
    return source if source != stem else None


def _match(stem: str) -> str | None:
    for pattern in (ROBOFLOW, AUGMENTOR, BEHIND, BEFORE):
        found = pattern.fullmatch(stem)
        if found and not YEAR.fullmatch(found[1]):
            return found[1].rstrip("-_ ") or None
    return None
