"""A head evaluated on the test side of its store, and the reports of it."""

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.errors import ConfigError, NotEnoughData
from pipeline.learn.evaluate import evaluate_head
from pipeline.learn.scored_rows import scored_rows
from pipeline.model.head.abnormal_probability import to_predictions
from pipeline.model.scores import overlap, splits
from pipeline.report import evaluation_report
from pipeline.stages.predict import Head
from pipeline.store.store import Store
from tests.builders.synthetic_store import CLASSES, SyntheticStore
from tests.builders.tables import write_labels

BITS = 4


@pytest.fixture
def made(store):
    return SyntheticStore(store).add_trunk().add_head("h0", 0.3).promote("h0")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """The same store, for tests that change nothing."""
    root = tmp_path_factory.mktemp("store")
    return SyntheticStore(Store(str(root))).add_trunk().add_head("h0", 0.3).promote("h0")


@pytest.fixture(scope="module")
def before(untouched):
    return evaluate_head(untouched.store, "h0", BITS)


def on(made, side):
    """Boolean (crops,): which of the made-up crops stand on a side."""
    return splits.sides([made.patient(n) for n in range(2 * made.patients)]) == side


def whole(found):
    return found.groups[0].estimates


def test_the_champion_is_measured_on_the_test_side_alone(untouched):
    made, found = untouched, evaluate_head(untouched.store, None, BITS)
    test = on(made, "test")
    abnormal, scores = made.labels[test] != "healthy", 1 - made.probabilities(0.3)[test][:, 0]
    assert found.card["head"] == "h0"
    assert (found.groups[0].rows, found.groups[0].positive) == (test.sum(), abnormal.sum())
    assert whole(found)["auroc"].value == pytest.approx(reference.roc_auc_score(abnormal, scores))
    assert whole(found)["f1"].value == pytest.approx(reference.f1_score(abnormal, scores >= 0.5))
    assert found.groups[0].prevalence == pytest.approx(abnormal.mean())


def test_thresholds_never_see_a_test_row(made, before):
    thresholds = whole(before)["sensitivity_at_0.9"], whole(before)["specificity_at_0.9"]
    # With every test label inverted, the sensitivity becomes one minus the specificity.
    test = on(made, "test")
    turned = {
        made.crop_id(n): "caries" if made.labels[n] == "healthy" else "healthy"
        for n in np.flatnonzero(test)
    }
    write_labels(made.store, turned, source="reviewer")
    after = whole(evaluate_head(made.store, "h0", BITS))
    assert after["sensitivity_at_0.9"].value == pytest.approx(1 - thresholds[1].value)
    assert after["specificity_at_0.9"].value == pytest.approx(1 - thresholds[0].value)
    # Labels of validation rows do move them: all are abnormal now but those of the lowest scores.
    scores = np.where(on(made, "validation"), 1 - made.probabilities(0.3)[:, 0], np.inf)
    others = np.argsort(scores)[5 : on(made, "validation").sum()]
    write_labels(made.store, {made.crop_id(n): "caries" for n in others}, source="another")
    moved = whole(evaluate_head(made.store, "h0", BITS))
    assert moved["specificity_at_0.9"].value < after["specificity_at_0.9"].value


def test_what_is_not_predicted_yet_is_predicted_from_embeddings(made, before, monkeypatch):
    made.add_head("h1", 0.3, batches=(0,))

    def predict(head, embeddings, region_kinds):
        outputs = made.probabilities(0.3)[embeddings[:, 0].astype(int)]
        return to_predictions(outputs, 3, 0, region_kinds)

    monkeypatch.setattr(Head, "predict", predict)
    found = evaluate_head(made.store, "h1", BITS)
    assert whole(found) == whole(before)
    assert not made.store.names("predictions/h1/b1")


def test_classes_and_slices_have_support_and_the_small_ones_are_hidden(untouched, before):
    made, found = untouched, before
    test, names = on(made, "test"), {}
    for group in found.groups:
        names.setdefault(group.kind, []).append(group.name)
        assert group.patients >= 10
        assert all(each.value is not None or each.reason for each in group.estimates.values())
    assert names["tooth"] == ["36", "46", "unknown"]
    assert names["batch"] == ["b0", "b1"]
    assert "PX" in names["modality"]
    caries = [group for group in found.groups if (group.kind, group.name) == ("class", "caries")]
    patients = {made.patient(n) for n in np.flatnonzero(test & (made.labels == "caries"))}
    assert bool(caries) == (len(patients) >= 10)
    healthy = next(group for group in found.groups if group.name == "healthy")
    is_healthy, p_healthy = made.labels[test] == "healthy", made.probabilities(0.3)[test][:, 0]
    assert healthy.estimates["auroc"].value == reference.roc_auc_score(is_healthy, p_healthy)
    assert found.hidden.keys() <= {"class", "modality"}


def test_near_duplicates_of_another_side_are_reported_and_left_out(made, before):
    sides = splits.sides([made.patient(n) for n in range(2 * made.patients)])
    first = {side: int(np.flatnonzero(sides == side)[0]) for side in splits.SIDES}
    twin = 0x0123456789ABCDEF

    def hashes(number):
        if number == first["train"]:
            return f"{twin:016x}"
        if number == first["test"]:
            return f"{twin ^ 0b1111:016x}"  # four bits
        if number == first["validation"]:
            return f"{twin ^ (0b11111 << 20):016x}"  # five bits
        return None if number == 7 else f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"

    made.write_scans(hashes)
    found = evaluate_head(made.store, "h0", BITS)
    assert before.left_out == 0
    assert found.left_out == 1
    assert found.groups[0].rows == before.groups[0].rows - 1
    proof = "\n".join(found.proof)
    assert "test and train share 0 patients" in proof or "train and test share 0" in proof
    assert "test and train share 0 scans, 1 more look alike" in proof
    assert "validation and train share 0 scans, 0 more look alike" in proof
    assert "1 scans have no hash" in proof
    assert "were left out" in "\n".join(evaluation_report.format_evaluation(found).before)


def test_the_same_bytes_on_two_sides_are_found_without_a_hash():
    found = overlap.find_overlap(
        ["a", "b", "a"], ["train", "test", "test"], [None] * 3, [None] * 3, BITS
    )
    assert found.left_out == {"a"}
    assert "test and train share 1 scans" in "\n".join(found.lines)


@pytest.mark.parametrize("distance", [0, 3, 4, 11, 63])
def test_no_view_of_a_scan_on_another_side_is_missed_at_any_distance(distance):
    draw = np.random.default_rng(0)
    pool = [int(draw.integers(2**16)) * (2**48 + 2**21 + 1) % 2**64 for _ in range(90)]
    views = [pool[3 * row : 3 * row + 3] for row in range(30)]
    sides = ["train", "validation", "test"] * 10
    ids = [f"{row:02d}" for row in range(30)]
    found = overlap.find_overlap(ids, sides, [None] * 30, views, distance)
    close = {
        ids[one]
        for one in range(30)
        for other in range(30)
        if sides[one] == "test" and sides[other] != "test"
        if any((view ^ views[other][0]).bit_count() <= distance for view in views[one])
        or any((view ^ views[one][0]).bit_count() <= distance for view in views[other])
    }
    assert found.left_out == close


def test_scans_without_hashes_of_their_centre_are_counted():
    found = overlap.find_overlap(
        ["a", "b"], ["train", "test"], ["0" * 16, "f" * 16], [None, [1]], 4
    )
    assert any(line.startswith("1 scans have no hash of their centre") for line in found.lines)


def test_a_label_that_the_head_never_learned_counts_as_abnormal(made, before):
    one = int(np.flatnonzero(on(made, "test") & (made.labels == "healthy"))[0])
    write_labels(made.store, {made.crop_id(one): "fracture"}, source="reviewer")
    found = evaluate_head(made.store, "h0", BITS)
    assert found.unknown == 1
    assert found.groups[0].positive == before.groups[0].positive + 1


def test_csv_has_one_row_per_number_and_the_text_has_the_same_numbers(untouched):
    found = evaluate_head(untouched.store, "h0", BITS, prevalence=0.1, specificities=[0.7])
    rows = evaluation_report.as_rows(found)
    assert len(rows) == len(found.groups) * 10
    ppv = rows[(rows["kind"] == "all") & (rows["measure"] == "ppv")].iloc[0]
    assert ppv["baseline"] == ppv["prevalence"] == 0.1
    text = evaluation_report.format_evaluation(found)
    shown = dict(row[:2] for row in text.tables[0].rows)
    assert shown["PPV"] == f"{ppv['value']:.2f}"
    assert "sensitivity at specificity 0.7" in shown
    assert "prevalence of 0.1" in text.before[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"head_id": "h7"}, r"no head `h7`.*Known: h0"),
        ({"head_id": "h0", "prevalence": 1.5}, "1.5 was given where a share"),
        ({"head_id": "h0", "specificities": [0]}, "0 was given where a share"),
    ],
)
def test_invalid_requests_are_refused(untouched, given, message):
    with pytest.raises(ConfigError, match=message):
        evaluate_head(untouched.store, distance=BITS, **given)


def test_a_store_without_champion_or_test_rows_is_refused(store):
    made = SyntheticStore(store, patients=1).add_trunk().add_head("h0", 0.3)
    with pytest.raises(ConfigError, match="no champion yet"):
        evaluate_head(store, None, BITS)
    if not on(made, "test").any():
        with pytest.raises(NotEnoughData, match="nothing to measure on"):
            evaluate_head(store, "h0", BITS)


def test_rows_are_in_the_order_of_their_ids_with_their_own_probabilities(untouched):
    made = untouched
    rows = scored_rows(made.store, Head(made.store, "h0"))
    numbers = [int(crop_id[:32], 16) for crop_id in rows.facts["crop_id"]]
    assert numbers == sorted(numbers)
    assert "train" not in rows.sides
    np.testing.assert_array_equal(rows.probabilities, made.probabilities(0.3)[numbers])
    assert set(rows.facts["label"]) <= set(CLASSES)
