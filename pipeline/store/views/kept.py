"""Views read into memory once, for a run that asks a store many questions.

On a store of a few thousand crops most of a question's time is spent on planning: DuckDB expands
every view and opens a part of every table that it reads. A temporary table is found before the view
of its name, so every question that follows reads it instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.store.catalog import SQL, Connection

KEPT = SQL / "kept"


def keep_ledger(con: Connection) -> None:
    """Read ledger, labels, decisions, audits and champion of the whole store into memory.

    Of 5 questions about a run, 20 checks, a page and the overview, the ledger alone is read by 30:
    1.9 s of CPU became 0.7 s with 367 scans.
    """
    for file in sorted((KEPT / "store").glob("*.sql")):
        con.execute(file.read_text(encoding="utf-8"))


@contextmanager
def only_batch(con: Connection, batch: str) -> Iterator[None]:
    """Read the features and predictions of one batch into memory, in place of the whole store's.

    Within the context, views of features, champion's predictions and work-list hold this batch
    alone, without embeddings. Ledger, labels and crops are still those of the whole store.
    """
    for file in sorted((KEPT / "batch").glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        con.execute(text, {"batch": batch} if "$batch" in text else None)
    try:
        yield
    finally:
        con.execute((KEPT / "forget_batch.sql").read_text(encoding="utf-8"))
