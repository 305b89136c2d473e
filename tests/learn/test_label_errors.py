"""Labels that models without them contradict."""

import numpy as np
import pytest

from pipeline.errors import NotEnoughData
from pipeline.learn.feedback import take_feedback
from pipeline.learn.label_errors import write_label_errors
from pipeline.model.scores import label_errors
from pipeline.store import catalog
from pipeline.store.registry import choose_models
from tests.builders.stores import small_store
from tests.builders.tables import write_embeddings


def doubtful(count=120, flipped=6):
    """Two kinds of rows that are easy to tell apart, a few with the other kind's label."""
    random = np.random.default_rng(0)
    truth = np.arange(count) % 2
    features = random.normal(size=(count, 20)) + 3 * truth[:, np.newaxis]
    wrong = random.choice(count, flipped, replace=False)
    said = truth.copy()
    said[wrong] = 1 - truth[wrong]
    return features, said, np.arange(count) // 3, wrong


def test_wrong_labels_have_the_lowest_self_confidence():
    features, said, patients, wrong = doubtful()
    found = label_errors.compare_with_labels(features, said, patients, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    confidence = found.probabilities[np.arange(len(said)), said]
    assert set(np.argsort(confidence)[:6]) == set(wrong)


def test_no_patient_is_predicted_by_a_model_that_saw_them():
    features, said, patients, _ = doubtful()
    found = label_errors.compare_with_labels(features, said, patients, 2)
    assert all(len(set(found.folds[patients == patient])) == 1 for patient in patients)
    # A patient's own rows, all relabelled, change nothing about how they are judged.
    other = said.copy()
    other[patients == 5] = 1 - other[patients == 5]
    held = found.folds == found.folds[patients == 5][0]
    cut = [(np.flatnonzero(~held), np.flatnonzero(held))]
    first, second = (fold_probabilities(features, labels, cut[0]) for labels in (said, other))
    np.testing.assert_array_equal(first, second)


def fold_probabilities(features, truth, cut, monkeypatch=None):
    class OneFold:
        def __init__(self, *_, **__):
            pass

        def split(self, *_):
            return [cut]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_errors, "StratifiedGroupKFold", OneFold)
        return label_errors.compare_with_labels(
            features, truth, np.arange(len(truth)), 2
        ).probabilities


def test_maps_are_averaged_to_four_by_four_cells():
    maps = np.arange(2 * 8 * 8 * 3, dtype=np.float16).reshape(2, 8, 8, 3)
    found = label_errors.mean_probabilities(maps).reshape(2, 4, 4, 3)
    assert found[1, 2, 3, 1] == maps[1, 4:6, 6:8, 1].mean()
    assert label_errors.mean_probabilities(maps[:, :3, :3]).shape == (2, 27)
    assert label_errors.mean_probabilities(maps[:, :7, :5]).reshape(2, 4, 4, 3)[
        0, 0, 3, 0
    ] == pytest.approx(maps[0, 0, 3:5, 0].mean())


def test_the_query_lists_doubtful_labels_of_the_champion_until_they_are_reviewed(tmp_path):
    small = small_store(tmp_path)
    features, said, patients, wrong = doubtful()
    rows = np.repeat(features, 26, axis=1)[:, :512]
    labels = [("healthy", "caries")[label] for label in said]
    ids = write_embeddings(small, rows, labels, [f"p{patient}" for patient in patients])
    chosen = choose_models(small.settings, small.store)
    assert write_label_errors(small.store, chosen, "h1") == write_label_errors(
        small.store, chosen, "h1"
    )
    promotion = f'{{"recipe": "r", "trunk": "{chosen.trunk_id}", "head": "h1"}}'
    small.store.write_bytes("models/promotions/00001.json", promotion.encode())

    def asked():
        with catalog.open_store(small.store) as con:
            return catalog.query(con, "label_errors", limit=6)

    first = asked()
    assert set(first["crop_id"]) == {ids[row] for row in wrong}
    assert (first["suggested"] != first["label"]).all()
    table = tmp_path / "t.csv"
    confirmed, corrected = first["crop_id"][:2]
    table.write_text(
        f"crop_id,label,reviewer\n{confirmed},{first['label'][0]},kl\n"
        f"{corrected},{first['suggested'][1]},kl\n"
    )
    assert take_feedback(small.settings, table).appended == 2
    assert not {confirmed, corrected} & set(asked()["crop_id"])


def test_with_too_few_labels_nothing_is_compared(tmp_path):
    small = small_store(tmp_path)
    write_embeddings(small, np.ones((2, 512)), ["healthy", "caries"], "ab")
    assert write_label_errors(small.store, choose_models(small.settings, small.store), "h1") is None
    with pytest.raises(NotEnoughData, match="2 patients with labels of 2 classes; 5 and two"):
        label_errors.compare_with_labels(np.ones((2, 3)), np.array([0, 1]), np.array(["a", "b"]), 2)
