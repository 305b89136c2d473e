"""Answers that are computed from the rows that a query found, where that is no task for SQL."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def _neighbours(con, found: "pd.DataFrame") -> "pd.DataFrame":
    """The answer of `nearest`, computed without DuckDB; `found` is the crop to compare with."""
    import pandas as pd

    from pipeline.store.neighbours import RESULT, Neighbours  # which asks the catalog for labels

    if found.empty:
        return pd.DataFrame(columns=RESULT)
    [(root,)] = con.table("store_root").fetchall()
    crop_id, trunk, k, own_patient = found.iloc[0]
    return Neighbours(root, trunk=trunk, memory=0).of(crop_id, int(k), bool(own_patient))


def _agreements(_, found: "pd.DataFrame") -> "pd.DataFrame":
    """The answer of `agreement`; `found` are the crops that two reviewers labelled."""
    from pipeline.model.scores.agreement import agreements

    return agreements(found)


COMPUTED = {"nearest": _neighbours, "agreement": _agreements}
