"""Numbers as tables have them: with a decimal comma, or whole numbers with decimals."""

import math
import re

WHOLE = re.compile(r"([+-]?\d+)[.,]0*")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d*|[+-]?,\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def read_number(text: str, comma_is_decimal: bool) -> float:
    """A number; NaN for a text that is none.

    `1,234` may be a thousand and more or one and less, unless `comma_is_decimal`.
    """
    if DECIMAL_COMMA.fullmatch(text) and (comma_is_decimal or not THOUSANDS.fullmatch(text)):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return math.nan


def without_decimals(text: str) -> str:
    """A whole number without decimals: 18 for `18.0` or `18,0`; other texts as they are."""
    found = WHOLE.fullmatch(text)
    return found[1] if found else text
