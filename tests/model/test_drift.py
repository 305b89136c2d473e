"""Batches compared with a reference: what differs more than chance allows."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from pipeline.model import drift
from pipeline.model.drift import Sample, compare, describe


def sample(random, patients, scans=4, shift=0.0, name="p", rejected=0.0):
    """Scans of patients who differ among themselves more than their own scans do."""
    own = random.standard_normal((patients, 1, 6)) + 0.1 * random.standard_normal(
        (patients, scans, 6)
    )
    rows = own.reshape(-1, 6) + shift
    unlike = random.random(patients * scans) < rejected
    return Sample(
        np.repeat([f"{name}{number}" for number in range(patients)], scans),
        {"sharpness": rows[:, 0], "width": np.round(rows[:, 1])},
        {"format": np.where(unlike, "png", "dicom")},
        {"embeddings": rows[:, 2:]},
    )


def test_the_false_alarm_rate_holds_with_several_scans_per_patient():
    random = np.random.default_rng(0)
    least = [
        compare(sample(random, 40), sample(random, 10, name="q"), 199, seed)[0].p_value
        for seed in range(200)
    ]
    # 5 % of 200 are 10; 19 or more come by chance once in 200. Counting scans instead: 184.
    assert sum(p_value <= 0.05 for p_value in least) < 19


def test_the_changed_fact_comes_first_with_its_size():
    random = np.random.default_rng(1)
    reference, batch = sample(random, 60), sample(random, 20, name="q")
    batch.numbers["sharpness"][:] -= 2
    found = compare(reference, batch)
    assert found[0].fact == "sharpness"
    assert found[0].p_value <= 0.001
    assert found[0].distance > found[0].by_chance
    assert found[0].now - found[0].was == pytest.approx(-2, abs=0.7)
    assert min(each.p_value for each in found[1:]) > 0.01


def test_shifted_embeddings_are_found_though_no_fact_changed():
    random = np.random.default_rng(2)
    reference, batch = sample(random, 60), sample(random, 30, name="q")
    batch.embeddings["embeddings"][:] += 1
    found = compare(reference, batch)
    assert (found[0].fact, found[0].p_value <= 0.001) == ("embeddings", True)


def test_two_categories_with_one_file_per_patient_give_fishers_exact_test():
    def of(name, good, bad):
        words = np.array(["accepted"] * good + ["rejected"] * bad)
        return Sample(
            np.array([f"{name}{n}" for n in range(good + bad)]), {}, {"status": words}, {}
        )

    [found] = compare(of("r", 18, 2), of("b", 11, 9))
    assert found.p_value == pytest.approx(fisher_exact([[18, 2], [11, 9]])[1], abs=0.01)
    assert (found.word, found.was, found.now) == ("accepted", 0.9, 0.55)


def test_a_patient_in_both_samples_counts_only_in_the_batch():
    random = np.random.default_rng(3)
    reference, batch = sample(random, 30), sample(random, 10, name="q")
    both = sample(random, 5, shift=9, name="q")
    joined = Sample(
        np.concatenate([reference.patients, both.patients]),
        *(
            {f: np.concatenate([rows, getattr(both, kind)[f]]) for f, rows in facts.items()}
            for kind, facts in vars(reference).items()
            if kind != "patients"
        ),
    )
    assert compare(joined, batch) == compare(reference, batch)


def test_facts_that_are_the_same_or_unknown_for_all_raise_no_alarm():
    def of(name, count):
        facts = {"width": np.full(count, 5.0), "sharpness": np.full(count, np.nan)}
        some = {"contrast": np.where(np.arange(count) % 2, np.nan, 1.0)}
        patients = np.array([f"{name}{n}" for n in range(count)])
        same = {"embeddings": np.ones((count, 3))}
        return Sample(patients, facts | some, {"format": np.full(count, "png")}, same)

    found = compare(of("r", 20), of("b", 6))
    assert {each.fact for each in found} == {"width", "contrast", "format", "embeddings"}
    assert {each.p_value for each in found} == {1.0}


def test_the_description_of_a_map_does_not_depend_on_its_slice():
    maps = np.random.default_rng(0).random((5, 4, 4, 3)).astype(np.float16)
    found = describe(maps)
    assert {name: rows.shape for name, rows in found.items()} == {
        "embeddings": (5, drift.DIRECTIONS),
        "channels": (5, 6),
    }
    for name, rows in describe(maps[2:3]).items():
        np.testing.assert_allclose(rows[0], found[name][2], rtol=1e-5)
    np.testing.assert_allclose(found["channels"][0, :3], maps[0].mean(axis=(0, 1)), rtol=1e-2)
