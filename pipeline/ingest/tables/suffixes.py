"""Files that are tables by their names; a .txt may be one by its content."""

TEXT_SUFFIXES = frozenset({b".csv", b".tsv", b".tab"})
EXCEL_SUFFIXES = frozenset({b".xlsx", b".xlsm"})
TABLE_SUFFIXES = TEXT_SUFFIXES | EXCEL_SUFFIXES
# Tables of programs whose files are not read.
UNREAD_SUFFIXES = frozenset({b".xls", b".xlsb", b".ods", b".numbers"})
