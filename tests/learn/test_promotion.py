"""Which head becomes the champion, the order of writing, and the stored records."""

import json

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.learn.promotion import promote
from pipeline.model.head.abnormal_probability import to_predictions
from pipeline.model.scores import splits
from pipeline.report import model_tables
from pipeline.stages.predict import Head
from pipeline.store import model_ids
from pipeline.store.registry import champion
from tests.builders.synthetic_store import SyntheticStore

BITS = 4


@pytest.fixture
def made(store):
    return SyntheticStore(store).add_trunk()


def promoted(made, head_id):
    return promote(made.store, Head(made.store, head_id), BITS)


def records(made, folder):
    names = [name for name in made.store.names(folder) if name.endswith(".json")]
    return [json.loads(made.store.read_bytes(name)) for name in names]


def test_the_first_head_is_promoted_with_its_trunk_and_recipe(made):
    decision = promoted(made.add_head("h0", 0.3), "h0")
    assert decision.promoted
    [record] = records(made, "models/promotions")
    assert (record["recipe"], record["trunk"], record["head"]) == ("r0", "t0", "h0")
    assert record["why"] == "there was no champion"
    assert record["before"] is None


def test_a_better_head_is_promoted_and_its_figures_are_stored(made):
    made.add_head("h0", 0.05).promote("h0").add_head("h1", 0.6)
    decision = promoted(made, "h1")
    assert decision.promoted
    assert champion(made.store)["head"] == "h1"
    record = records(made, "models/promotions")[-1]
    assert record["before"] == "h0"
    assert record["difference"]["low"] > 0
    test = splits.sides([f"p{n}" for n in range(made.patients)]) == "test"
    assert record["patients"] == test.sum() < 30
    assert "fewer than 30 patients show little" in record["why"]
    assert not records(made, "runs")


def test_a_worse_head_is_refused_and_the_refusal_is_stored(made):
    made.add_head("h0", 0.6).promote("h0").add_head("h1", 0.05)
    decision = promoted(made, "h1")
    assert not decision.promoted
    assert champion(made.store)["head"] == "h0"
    [record] = records(made, "runs")
    assert (record["head"], record["before"], record["promoted"]) == ("h1", "h0", False)
    assert record["difference"]["high"] < 0
    assert "worse than" in record["why"]


def test_readers_find_predictions_as_soon_as_there_is_a_new_champion(made, monkeypatch):
    made.add_head("h0", 0.3).promote("h0").add_head("h1", 0.3, batches=())
    made.store.write_bytes("models/heads/h1/patients.parquet", b"")
    champions = []

    def predict(head, embeddings, region_kinds):
        champions.append(champion(made.store)["head"])
        outputs = made.probabilities(0.3)[embeddings[:, 0].astype(int)]
        return to_predictions(outputs, 3, 0, region_kinds)

    monkeypatch.setattr(Head, "predict", predict)
    monkeypatch.setattr(Head, "learned_from", frozenset())
    assert promoted(made, "h1").promoted
    assert set(champions) == {"h0"}
    assert champion(made.store)["head"] == "h1"
    predicted = made.store.names("predictions/h1")
    assert [name.split("/")[2] for name in predicted] == ["b0", "b1"]


def test_when_a_head_fails_to_predict_the_champion_stays(made, monkeypatch):
    made.add_head("h0", 0.3).promote("h0").add_head("h1", 0.6, batches=(0, 1))
    made.store.remove("predictions/h1/b1/part-00000.parquet")

    # What is needed to compare is predicted in memory; the disk fills up afterwards.
    def predict(head, embeddings, region_kinds):
        outputs = made.probabilities(0.6)[embeddings[:, 0].astype(int)]
        return to_predictions(outputs, 3, 0, region_kinds)

    monkeypatch.setattr(Head, "predict", predict)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.learn.promotion.predict_part", full)
    with pytest.raises(OSError, match="No space"):
        promoted(made, "h1")
    assert champion(made.store)["head"] == "h0"


def test_heads_on_two_trunks_are_compared_on_the_crops_that_both_have(made):
    made.add_head("h0", 0.3).promote("h0")
    made.add_trunk("t1", batches=(0,)).add_head("h1", 0.3, trunk_id="t1", batches=(0,))
    decision = promoted(made, "h1")
    test = splits.sides([made.patient(n) for n in made.crop_numbers(0)]) == "test"
    assert decision.crops == test.sum()
    assert "1 parts have embeddings of the champion's trunk but not of this head's" in decision.why
    assert champion(made.store)["trunk"] == "t1"


def test_the_champion_itself_and_a_race_are_refused_with_a_reason(made, monkeypatch):
    made.add_head("h0", 0.3).promote("h0").add_head("h1", 0.6)
    assert "already" in promoted(made, "h0").why
    monkeypatch.setattr(type(made.store), "create", lambda *_: False)
    decision = promoted(made, "h1")
    assert not decision.promoted
    assert "at the same moment" in decision.why


def test_a_head_of_which_nothing_can_be_compared_is_refused(made):
    made.add_head("h0", 0.3).promote("h0").add_trunk("t1", batches=()).add_head(
        "h1", 0.6, trunk_id="t1"
    )
    decision = promoted(made, "h1")
    assert not decision.promoted
    assert "could not be compared" in decision.why


def test_near_duplicates_of_learned_scans_do_not_count(made):
    made.add_head("h0", 0.3).promote("h0").add_head("h1", 0.3)
    everything = promoted(made, "h1").crops
    made.add_head("h2", 0.3)
    sides = splits.sides([made.patient(n) for n in range(2 * made.patients)])
    twins = {int(np.flatnonzero(sides == side)[0]) for side in ("train", "test")}
    made.write_scans(lambda n: "0" * 16 if n in twins else f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}")
    assert promoted(made, "h2").crops == everything - 1


def test_models_are_listed_with_their_cards_and_the_champion_marked(made):
    made.add_head("h0", 0.3).promote("h0").add_head("h1", 0.6, made="2026-11-26")
    rows = model_tables.list_models(made.store)
    assert [(row["kind"], row["model"], row["champion"]) for row in rows] == [
        ("trunk", "t0", True),
        ("head", "h0", True),
        ("head", "h1", False),
    ]
    assert model_ids.newest_challenger(made.store) == "h1"
    pairs = {name: (a, b) for name, a, b in model_tables.compare_models(made.store, "h0", "h1")}
    assert pairs["made"] == ("2026-11-25", "2026-11-26")
    assert pairs["trunk"] == ("t0", "t0")
    assert "seed" not in pairs
    for pair, message in ((("h0", "t0"), "a trunk and a head"), (("h0", "h2"), "no model `h2`")):
        with pytest.raises(ConfigError, match=message):
            model_tables.compare_models(made.store, *pair)


def test_a_store_whose_only_head_is_the_champion_has_no_challenger(made):
    made.add_head("h0", 0.3).promote("h0")
    with pytest.raises(ConfigError, match="no head but the champion"):
        model_ids.newest_challenger(made.store)


def test_a_store_without_a_head_has_its_own_message(made):
    with pytest.raises(
        ConfigError, match="The store has no head yet; train one with: dental train"
    ):
        model_ids.newest_challenger(made.store)
