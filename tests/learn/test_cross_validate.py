"""Labelled rows from memory or Parquet, and folds in which no patient is on two sides."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ArtifactError, NotEnoughData
from pipeline.ingest import list_files
from pipeline.learn import baselines, cross_validate, training_rows
from pipeline.learn.novelty_scores import novelty_scores
from pipeline.report.training_summary import format_cross_validation
from pipeline.store import embeddings as stored_embeddings
from pipeline.store.embeddings import StoredEmbeddings
from pipeline.store.features import load_features
from pipeline.store.registry import choose_models
from tests.builders.scans import labelled_batch, scan
from tests.builders.stores import HEAD, process_folder, small_store

pytestmark = pytest.mark.slow

PATIENTS = 24


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store of two scans for each of 24 patients, half of them with caries, and no head."""
    root = tmp_path_factory.mktemp("folds")
    store = small_store(root, part_size=20, head=HEAD.model_copy(update={"min_patients": 99}))
    labelled = ((number, ("caries", "healthy")[number % 4 >= 2]) for number in range(2 * PATIENTS))
    scans = (
        (scan(40 if label == "healthy" else 60, 50), f"p{number // 2}", label)
        for number, label in labelled
    )
    labelled_batch(root / "in", scans)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
        process_folder(store, root / "in")
    return store, choose_models(store.settings, store.store)


@pytest.fixture
def rows(filled):
    store, chosen = filled
    return training_rows.labelled_rows(store.store, chosen, store.settings)


def test_rows_that_do_not_fit_are_read_again_from_parquet_and_are_the_same(
    filled, rows, monkeypatch
):
    store, chosen = filled
    monkeypatch.setattr(stored_embeddings, "MOST_HELD", 0)
    streamed = training_rows.labelled_rows(store.store, chosen, store.settings)
    assert isinstance(streamed.embeddings, StoredEmbeddings)
    mask = np.arange(len(rows.truth)) % 3 > 0
    assert (streamed.embeddings_of(mask) == rows.embeddings_of(mask)).all()
    facts, embeddings = load_features(store.store)
    places = [facts["crop_id"].tolist().index(crop_id) for crop_id in rows.facts["crop_id"]]
    assert (rows.embeddings_of(np.ones(len(mask), bool)) == embeddings[places]).all()


def test_a_head_learned_from_parquet_block_by_block_has_seen_every_row(filled, monkeypatch):
    store, chosen = filled
    monkeypatch.setattr(stored_embeddings, "MOST_HELD", 0)
    streamed = training_rows.labelled_rows(store.store, chosen, store.settings)
    every = np.ones(len(streamed.truth), bool)
    blocks = list(streamed.embeddings.blocks(every, np.random.default_rng(0)))
    assert len(blocks) == 3  # one row group for each part of 20
    assert sorted(np.concatenate([numbers for numbers, _ in blocks])) == list(range(len(every)))
    sides = np.where(np.arange(len(every)) % 3, "train", "validation")
    trained = cross_validate.fit_head(streamed, sides, chosen, store.settings)
    found = cross_validate.predict_rows(trained, streamed, chosen)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


def test_parts_without_a_selected_row_are_not_read(filled):
    store, chosen = filled
    names = store.store.names(f"features/{chosen.trunk_id}")
    numbers = {names[0]: np.arange(20), names[1]: np.full(20, -1)}
    source = StoredEmbeddings.of(store.store, chosen.features, numbers)
    assert [len(some) for some, _ in source.blocks(np.arange(20) < 5)] == [5]
    with pytest.raises(ArtifactError, match="replaced while it was read: 7 rows first, then 20"):
        StoredEmbeddings.of(store.store, chosen.features, {names[0]: np.arange(7)})


def test_every_row_is_tested_once_and_no_patient_is_on_two_sides(rows):
    dealt = cross_validate.split_into_folds(rows, 3)
    tested = sum((sides == "test").astype(int) for sides in dealt)
    assert (tested == 1).all()
    for sides in dealt:
        for side in ("train", "validation", "test"):
            assert set(rows.truth[sides == side] > 0) == {True, False}
        groups = [set(rows.patients[sides == side]) for side in set(sides)]
        assert sum(map(len, groups)) == PATIENTS


def test_too_few_patients_for_the_folds_are_refused_with_counts(rows):
    with pytest.raises(NotEnoughData, match=r"12 patients have abnormal .* 13 folds need .* 13"):
        cross_validate.split_into_folds(rows, 13)


def test_a_trunk_without_embeddings_is_refused(filled):
    store, chosen = filled
    other = replace(chosen, trunk_id="0" * 12)
    with pytest.raises(NotEnoughData, match=r"no embedding by trunk 000000000000.* dental run"):
        training_rows.labelled_rows(store.store, other, store.settings)


def test_all_folds_are_measured_together_and_a_finished_fold_is_not_repeated(filled, monkeypatch):
    store, chosen = filled
    learned = []
    real = cross_validate.fit_head

    def failing_once(*arguments):
        learned.append(1)
        if len(learned) == 4:  # the first of the second fold
            raise OSError("the disk hiccups")
        return real(*arguments)

    monkeypatch.setattr(cross_validate, "fit_head", failing_once)
    arguments = store.store, chosen, store.settings, 2, lambda _: None
    with pytest.raises(OSError, match="hiccups"):
        cross_validate.cross_validate(*arguments)
    found = cross_validate.cross_validate(*arguments)
    again = cross_validate.cross_validate(*arguments)

    assert len(learned) == 7
    assert again.name == found.name
    assert again.record["scores"] == found.record["scores"]
    record = json.loads(store.store.read_bytes(found.name))
    assert record["rows"] == 2 * PATIENTS
    assert record["patients"] == PATIENTS
    methods = [*baselines.METHODS, "novelty_peak", "novelty_mean"]
    assert list(record["scores"]) == ["head", *methods]
    assert list(record["differences"]) == methods
    auroc = record["scores"]["probe"]["estimates"]["auroc"]
    assert auroc["low"] <= auroc["value"] <= auroc["high"]
    text = "\n".join(format_cross_validation(record, found.name, store.settings))
    assert "48 crops (24 abnormal) of 24 patients" in text
    assert "HOG + SVM" in text
    assert "novelty by its mean, without findings" in text
    shares = [each["share"] for each in record["learning_curve"]]
    counts = [each["patients"] for each in record["learning_curve"]]
    assert shares == [0.25, 0.5, 1.0]
    assert counts[0] < counts[1] < counts[2] < PATIENTS / 2
    assert record["learning_curve"][2]["gain_of_all"]["value"] == 0
    assert f"From {counts[1]} to {counts[2]} patients it changed by" in text


def test_folds_of_an_earlier_version_are_measured_without_the_methods_that_they_lack(filled):
    store, chosen = filled
    arguments = store.store, chosen, store.settings, 2, lambda _: None
    name = cross_validate.cross_validate(*arguments).name.removesuffix(".json") + "/fold-1.json"
    earlier = json.loads(store.store.read_bytes(name))
    del earlier["novelty_peak"]
    store.store.write_bytes(name, json.dumps(earlier).encode())
    found = cross_validate.cross_validate(*arguments).record["scores"]
    assert "novelty_peak" not in found
    assert "novelty_mean" in found


def test_novelty_is_fitted_to_the_normal_rows_alone():
    random = np.random.default_rng(0)
    maps = random.normal(1, 0.1, (60, 4, 4, 3)).astype(np.float16)
    odd = np.arange(60) % 3 == 0
    maps[odd, 1:3, 1:3, 0] += 1
    whole = np.ones(60, bool)
    fitted = novelty_scores(maps, ~odd & (np.arange(60) < 40), whole, 0)
    for scores in fitted.values():
        assert scores[odd].min() > scores[~odd].max()
    both = novelty_scores(maps, np.arange(60) < 40, whole, 0)
    assert both["novelty_mean"][odd].mean() < fitted["novelty_mean"][odd].mean()
