import numpy as np
import pytest

from pipeline.errors import ConfigError, NotEnoughData
from pipeline.learn.feedback import take_feedback
from pipeline.learn.label_errors import write_label_errors
from pipeline.model.scores import label_errors
from pipeline.store import catalog
from pipeline.store.registry import choose_models
from tests.builders.stores import small_store
from tests.builders.tables import write_embeddings


@pytest.fixture
def reviewed(tmp_path):
    """A store of six labelled crops, and a way to hand in a table about them."""
    small = small_store(tmp_path, classes=("abscess",))
    labels = ["healthy", "healthy", "caries", "caries", "healthy", None]
    ids = write_embeddings(small, np.ones((6, 512)), labels, list("abcdef"))

    def hand_in(*lines, header="crop_id,label,reviewer"):
        file = tmp_path / "reviewed.csv"
        file.write_text("\n".join([header, *lines]) + "\n")
        return take_feedback(small.settings, file)

    def now():
        with catalog.open_store(small.store) as con:
            rows = con.table("labels_now").to_arrow_table().to_pylist()
        return {row["crop_id"]: (row["label"], row["source"]) for row in rows}

    hand_in.store, hand_in.now, hand_in.ids = small.store, now, ids
    return hand_in


def test_a_reviewers_label_beats_the_delivered_one_and_an_empty_one_withdraws(reviewed):
    a, b, *_, f = reviewed.ids
    taken = reviewed(f"{a},caries,kl", f"{b},,kl", f"{f}, Healthy ,KL")
    assert (taken.appended, taken.withdrawn, taken.problems) == (3, 1, [])
    now = reviewed.now()
    assert now[a] == ("caries", "kl")
    assert b not in now
    assert now[f] == ("healthy", "kl")
    assert now[reviewed.ids[2]] == ("caries", "delivered")


def test_the_same_table_twice_changes_nothing_and_a_grown_one_adds_its_new_lines(reviewed):
    a, b, c, *_ = reviewed.ids
    lines = [f"{a},caries,kl", f"{b},,kl"]
    reviewed(*lines)
    before = reviewed.store.names("labels"), reviewed.now()
    again = reviewed(*lines)
    assert (again.appended, again.known) == (0, 2)
    assert (reviewed.store.names("labels"), reviewed.now()) == before
    reviewed(f"{a},healthy,mm")
    grown = reviewed(*lines, f"{c},healthy,kl")
    assert (grown.appended, grown.known) == (1, 2)
    # What another reviewer said since stands.
    assert reviewed.now()[a] == ("healthy", "mm")


def test_of_two_lines_about_a_crop_the_later_one_wins(reviewed):
    a, b, *_ = reviewed.ids
    taken = reviewed(f"{a},caries,kl", f"{a},abscess,kl", f"{b},caries,mm", f"{b},abscess,kl")
    assert (taken.appended, taken.replaced) == (3, 1)
    assert reviewed.now()[a] == ("abscess", "kl")
    assert reviewed.now()[b] == ("abscess", "kl")


def test_lines_that_cannot_be_used_are_told_with_their_number_and_the_rest_goes_on(reviewed):
    a, b, c, d, *_ = reviewed.ids
    taken = reviewed(
        "nobody:whole,caries,kl",
        f"{a},carries,kl",
        f"{b},caries,Dr. K. Lee",
        f"{c},healthy,delivered",
        f"{c},healthy",
        f"{c},läsion,kl",
        f"{d},healthy,kl",
    )
    assert taken.appended == 1
    assert reviewed.now()[d] == ("healthy", "kl")
    for number, words in enumerate(
        ["no crop `nobody:whole`", "`carries` is none of abscess, caries, healthy; add it to",
         "is no code of 1 to 16", "is no code of 1 to 16", "reviewer `` is no code",
         "`läsion` cannot be stored; a label has 1 to 40 of a-z"],
        start=2,
    ):  # fmt: skip
        (problem,) = [each for each in taken.problems if each.startswith(f"line {number}:")]
        assert words in problem


@pytest.mark.parametrize("note", ["x" * 200_000, '"left" side', '"left'])
def test_lines_that_are_no_csv_are_told_with_their_number(reviewed, note):
    a, b, *_ = reviewed.ids
    header = "crop_id,label,reviewer,note"
    taken = reviewed(f"{a},caries,kl", f"{b},caries,kl,{note}", header=header)
    assert taken.appended == 1
    [problem] = taken.problems
    assert problem.startswith("line 3: is not CSV")
    with pytest.raises(ConfigError, match="line 1 is no CSV"):
        reviewed(header=f'"{header}')


def test_semicolons_and_further_columns_are_fine(reviewed):
    a, *_ = reviewed.ids
    taken = reviewed(f"kl;x;{a};caries", header="Reviewer;note;crop_id;label")
    assert taken.appended == 1


@pytest.mark.parametrize(
    ("header", "says"),
    [("crop_id,label", r"has the columns crop_id, label; .*Add reviewer"), ("", "columns none")],
)
def test_a_table_without_its_columns_is_refused_in_words(reviewed, header, says):
    with pytest.raises(ConfigError, match=says):
        reviewed("x,y", header=header)


def doubtful(count=120, flipped=6):
    """Two kinds of rows that are easy to tell apart, a few with the other kind's label."""
    random = np.random.default_rng(0)
    truth = np.arange(count) % 2
    features = random.normal(size=(count, 20)) + 3 * truth[:, np.newaxis]
    wrong = random.choice(count, flipped, replace=False)
    said = truth.copy()
    said[wrong] = 1 - truth[wrong]
    return features, said, np.arange(count) // 3, wrong


def test_wrong_labels_get_the_least_confidence():
    features, said, patients, wrong = doubtful()
    found = label_errors.compare_with_labels(features, said, patients, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    confidence = found.probabilities[np.arange(len(said)), said]
    assert set(np.argsort(confidence)[:6]) == set(wrong)


def test_no_patient_is_judged_by_a_model_that_knows_them():
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


def test_maps_are_averaged_over_four_by_four_places():
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


def test_too_few_labels_judge_nothing(tmp_path):
    small = small_store(tmp_path)
    write_embeddings(small, np.ones((2, 512)), ["healthy", "caries"], "ab")
    assert write_label_errors(small.store, choose_models(small.settings, small.store), "h1") is None
    with pytest.raises(NotEnoughData, match="2 patients with labels of 2 classes; 5 and two"):
        label_errors.compare_with_labels(np.ones((2, 3)), np.array([0, 1]), np.array(["a", "b"]), 2)
