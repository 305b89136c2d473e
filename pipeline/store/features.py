"""Load crops with their pixels or embeddings into NumPy and pandas.

Facts come as a DataFrame with one row per crop, pixels or embeddings as one array whose row i
belongs to the frame's row i. Only the requested parts, columns and row groups are read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import schemas
from pipeline.errors import ConfigError
from pipeline.store import catalog, registry, tables
from pipeline.store.crop_query import (
    CropFilter,
    CropQuery,
    require_known,
    row_shape,
)
from pipeline.store.model_ids import require_head
from pipeline.store.store import Store
from pipeline.store.tables import Table
from pipeline.store.views.card_tables import promotions

FACTS = [name for name in schemas.features(1).names if name != "embedding"]
Choice = str | Sequence[str] | None  # one, several, or all


def load_features(
    store: str | Path | Store,
    *,
    trunk: str | None = None,
    batch: Choice = None,
    label: Choice = None,
    side: Choice = None,
    columns: Sequence[str] | None = None,
    dtype: np.typing.DTypeLike = np.float16,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Facts and embeddings of `trunk`, by default the champion's or the only one there is.

    `batch`, `label` and `side` keep the rows of one or several; labels are those in force. The
    column `label` has the label in force, null for a crop without one, `label_delivered` the
    one that came with the scan, and `side` the patient's side: train, validation or test. Crops
    that a reviewer withdrew or moved are left out. `columns` selects facts, all by default. Returns
    a frame of N rows and an array (N, width) of `dtype`, in the order of batches, parts and rows.

    Raises ConfigError for a trunk, batch, label, side or column that does not exist, naming those
    that do, and ArtifactError for a damaged part.
    """
    query = _features(store, trunk, CropFilter(batch, label, side), columns)
    return query.rows(query.names, dtype)


def iter_features(
    store: str | Path | Store,
    *,
    trunk: str | None = None,
    batch: Choice = None,
    label: Choice = None,
    side: Choice = None,
    columns: Sequence[str] | None = None,
    dtype: np.typing.DTypeLike = np.float16,
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Like `load_features`, part by part, for more embeddings than fit into memory.

    Two parts are in memory: the one being read and the caller's. Parts without a matching row are
    skipped. Raises like `load_features`, at the first part.
    """
    kept = CropFilter(batch, label, side)
    yield from _features(store, trunk, kept, columns).iterate(dtype)


def load_crops(
    store: str | Path | Store,
    *,
    recipe: str | None = None,
    batch: Choice = None,
    label: Choice = None,
    side: Choice = None,
    columns: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Facts and pixels of the crops of `recipe`, by default the champion's or the only one.

    Returns a frame of N rows, as `load_features` does, and an array (N, side, side) of uint8.
    """
    query = _crops(store, recipe, CropFilter(batch, label, side), columns)
    return query.rows(query.names, np.uint8)


def iter_crops(
    store: str | Path | Store,
    *,
    recipe: str | None = None,
    batch: Choice = None,
    label: Choice = None,
    side: Choice = None,
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Like `load_crops`, part by part."""
    kept = CropFilter(batch, label, side)
    yield from _crops(store, recipe, kept, columns).iterate(np.uint8)


def crop_facts(
    store: str | Path | Store,
    *,
    recipe: str | None = None,
    batch: Choice = None,
    label: Choice = None,
    side: Choice = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The facts of `load_crops` alone."""
    query = _crops(store, recipe, CropFilter(batch, label, side), columns)
    return query.frame(query.names)[0]


def _features(store, trunk: str | None, kept: CropFilter, columns) -> CropQuery:
    store = catalog.as_store(store)
    return CropQuery.of(store, features_of(store, trunk), kept, columns)


def _crops(store, recipe: str | None, kept: CropFilter, columns) -> CropQuery:
    store = catalog.as_store(store)
    return CropQuery.of(store, crops_of(store, recipe), kept, columns)


def features_of(store: Store, trunk: str | None) -> Table:
    """The embeddings of `trunk`, by default the champion's or the only one."""
    trunk_id = _key_of(store, "features", "trunk", trunk)
    return tables.features(trunk_id, *row_shape(store, "features", trunk_id))


def crops_of(store: Store, recipe: str | None) -> Table:
    """The crops of `recipe`, by default the champion's or the only one."""
    recipe_id = _key_of(store, "crops", "recipe", recipe)
    return tables.crops(recipe_id, row_shape(store, "crops", recipe_id)[0])


def _key_of(store: Store, kind: str, what: str, given: str | None) -> str:
    """`given`, a trunk or recipe that has rows here, by default the champion's or the only one."""
    keys = tables.keys(store, kind)
    if given is None:
        champions = [promotion[what] for promotion in promotions(store)]
        if not champions and len(keys) > 1:
            raise ConfigError(
                f"The store has {kind} of several {what}s and no champion; give `{what}`, one of "
                f"{', '.join(keys)}."
            )
        given = (champions or keys or [None])[-1]
    if given is None:
        raise ConfigError(f"The store {store.root} has no {kind} yet; run a batch first.")
    return require_known(what, given, keys)[0]


def load_predictions(
    store: str | Path | Store,
    *,
    head: str | None = None,
    batch: Choice = None,
    label: Choice = None,
    side: Choice = None,
) -> pd.DataFrame:
    """Predictions of a head, by default the champion, with a column `p_CLASS` for every class.

    Raises ConfigError for an unknown head, batch, label or side, and before the first champion.
    """
    store = catalog.as_store(store)
    if head is None and not (current := registry.champion(store)):
        raise ConfigError(f"The store {store.root} has no champion yet; train a head first.")
    head_id = require_head(store, head) if head else current["head"]
    query = CropQuery.of(store, tables.predictions(head_id), CropFilter(batch, label, side))
    rows, _ = query.frame(query.names)
    classes = registry.read_card(store, registry.head_home(head_id))["classes"]
    found = np.array(rows.pop("probabilities").tolist(), np.float32).reshape(-1, len(classes))
    place = rows.columns.get_loc("p_abnormal")
    for number, name in reversed([*enumerate(classes)]):
        rows.insert(place, class_column(name), found[:, number])
    return rows


def class_column(name: str) -> str:
    """The column of a class's probability, `p_CLASS`.

    `p_abnormal` is that of all findings together, so a class of this name has `p_class_abnormal`.
    """
    return "p_class_abnormal" if name == "abnormal" else f"p_{name}"


def sides_by_patient(store: str | Path | Store) -> pd.Series:
    """The side of every patient, by patient_key."""
    with catalog.open_store(store, "patient_sides") as con:
        rows = con.table("patient_sides").to_arrow_table().to_pandas()
    return rows.set_index("patient_key")["side"]
