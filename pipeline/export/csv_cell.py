"""Texts in CSV files, which a spreadsheet must not take for formulas."""

# Spreadsheets run a cell that begins so as a formula, also one that came with a delivery.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_cell(value: object) -> object:
    """A value as it is written to CSV: a text that would be a formula gets a `'` in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
