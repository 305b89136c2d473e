import numpy as np
import pytest

from pipeline import schemas
from pipeline.errors import ArtifactError, ConfigError
from pipeline.store import catalog, tables
from pipeline.store.neighbours import Neighbours
from tests.builders.tables import write_features, write_labels

WIDTH, ROWS = 16, 300  # more than one row group a part
SCHEMA = schemas.features(WIDTH)
CROPS = [f"{number:032x}:whole" for number in range(3 * ROWS)]


def write(store, embeddings, start, batch, trunk="t0"):
    """A part of features; every two crops are one patient's."""
    numbers = range(start, start + len(embeddings))
    write_features(
        store,
        embeddings,
        crop_id=[CROPS[number] for number in numbers],
        batch=batch,
        trunk=trunk,
        patient_key=[f"p{number // 2}" for number in numbers],
    )


@pytest.fixture
def embeddings(store):
    """Three parts; crop 4 is all zeros, crop 700 a multiple of crop 10, whose patient's is 11."""
    values = np.random.default_rng(0).standard_normal((3 * ROWS, WIDTH)).astype(np.float16)
    values[4] = 0
    values[700], values[11] = values[10] * 2, values[10] + values[12] / 8
    for number, batch in enumerate(["b", "a", "c"]):
        write(store, values[number * ROWS : (number + 1) * ROWS], number * ROWS, batch)
    write_labels(store, {CROPS[700]: "caries"})
    return values.astype(np.float64)


def by_hand(embeddings, asked, own_patient=False):
    lengths = np.maximum(np.linalg.norm(embeddings, axis=1), 1e-9)
    cosine = embeddings @ embeddings[asked] / lengths / lengths[asked]
    order = np.argsort(-cosine)
    left_out = {asked} if own_patient else {asked, asked ^ 1}
    return [CROPS[each] for each in order if each not in left_out]


@pytest.mark.parametrize("memory", [2**30, ROWS * WIDTH * 2, 0])
def test_neighbours_are_exact_whatever_the_memory_limit(store, embeddings, memory):
    like = Neighbours(store, memory=memory)
    for asked in (10, 899, 10):  # the first time, and with what was kept
        assert like.of(CROPS[asked], k=20)["crop_id"].tolist() == by_hand(embeddings, asked)[:20]
        everyone = like.of(CROPS[asked], k=20, own_patient=True)["crop_id"].tolist()
        assert everyone == by_hand(embeddings, asked, own_patient=True)[:20]


def test_neighbours_and_the_named_query_give_the_same_rows(store, embeddings):
    rows = Neighbours(store).of(CROPS[10], k=3)
    with catalog.open_store(store) as con:
        asked = catalog.query(con, "nearest", crop_id=CROPS[10], k=3)
    assert rows.columns.tolist() == asked.columns.tolist()
    same = [name for name in rows.columns if name not in ("label", "similarity")]
    assert rows[same].astype(object).equals(asked[same].astype(object))
    assert rows["similarity"].to_numpy() == pytest.approx(asked["similarity"], abs=1e-6)
    assert rows.loc[0, ["label", "similarity"]].tolist() == ["caries", pytest.approx(1)]
    assert rows["label"].isna().tolist() == [False, True, True]


def test_no_part_is_read_twice_while_there_is_room(store, embeddings):
    like = Neighbours(store)
    first = like.of(CROPS[10])
    for name in store.names("features"):
        store.remove(name)
    assert like.of(CROPS[10]).equals(first)


def test_a_missing_part_that_was_not_kept_is_an_error(store, embeddings):
    like = Neighbours(store, memory=0)
    store.remove(tables.features("t0", WIDTH).part("c", 0))
    with pytest.raises(ArtifactError, match=r"features/t0/c/part-00000\.parquet is missing"):
        like.of(CROPS[10])


def test_an_unknown_crop_or_trunk_is_an_error(store, embeddings):
    with pytest.raises(ConfigError, match=r"Trunk t0 has no embedding of crop `x:whole`\. Give"):
        Neighbours(store).of("x:whole")
    with pytest.raises(ConfigError, match=r"trunk `t1`\. Known: t0"):
        Neighbours(store, trunk="t1")
