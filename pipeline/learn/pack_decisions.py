"""Pack the parts of single decisions into one.

A page appends a part for every decision, and DuckDB opens each of them in every query. With 1,100
of them, opening the catalog and asking for the work-list took 10 s on a busy machine; 0.7 s with
one.

The packed part replaces the newest one, whose name it takes, and then the others are removed. Who
reads in between, or after a kill, finds some rows twice; the view `labels` counts them once.
"""

from pipeline import schemas
from pipeline.learn.decisions import PREFIX
from pipeline.store.encoded_parts import PackedPart
from pipeline.store.locks import commit_lock
from pipeline.store.parts import read_part
from pipeline.store.store import Store

MOST = 64  # parts that are left as they are


def pack_decisions(store: Store, most: int = MOST) -> int:
    """Pack the decisions when there are more than `most` parts; return how many were removed."""
    if len(_names(store)) <= most:
        return 0
    with commit_lock(store):
        *others, newest = names = _names(store)
        part = PackedPart(newest, schemas.LABELS)
        for name in names:
            part.add(read_part(store, name, schemas.LABELS).to_pylist())
        store.write_bytes(newest, part.to_bytes())
        for name in others:
            store.remove(name)
    return len(others)


def _names(store: Store) -> list[str]:
    """Parts of reviewers' decisions, the newest last."""
    return sorted(name for name in store.names("labels") if name.startswith(PREFIX))
