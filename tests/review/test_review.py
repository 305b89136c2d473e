import numpy as np
import pandas as pd
import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.learn.decisions import Decision, append_decisions
from pipeline.review.cards import HIDDEN, blind, interleave, read_cards, read_readings
from pipeline.review.drawing import draw_missed, drawn_boxes, take_back
from pipeline.review.evidence import earlier
from pipeline.review.pictures import Pictures
from pipeline.review.readings import Readings
from pipeline.review.review import Review
from pipeline.store import catalog
from pipeline.store.features import load_features
from pipeline.store.neighbours import Neighbours
from tests.builders.stores import read_table, small_store


@pytest.fixture
def review(review_settings):
    found = Review(review_settings)
    found.refresh()
    return found


def audited(cards):
    return [card for card in cards if card.get("audit")]


def others(cards):
    return [card for card in cards if not card.get("audit")]


def decisions(review):
    rows = read_table(review.store, "labels").query("source != 'delivered'")
    return rows.sort_values("labelled_at")[["crop_id", "decision", "label", "source"]]


def test_cards_have_scores_places_and_labels(review):
    cards = others(review.cards_for("ann"))
    assert len(cards) == 24 - 2
    assert {card["batch"] for card in cards} == {"one", "two"}
    first = max(cards, key=lambda card: card["p"])
    assert first["flagged"]
    assert cards[0]["p"] == max(card["p"] for card in cards)
    assert sum(first["probabilities"]) == pytest.approx(1, abs=0.01)
    assert first["size"] == [90, 120]
    assert {card.get("label") for card in cards} == {"healthy", "caries", "abscess", None}


def test_audit_crops_are_blind_until_their_reader_decides(review):
    hidden, other = audited(review.cards_for("ann"))
    assert not set(HIDDEN) & set(hidden)
    assert hidden["blind"]
    assert review.heat_map(hidden["id"], "ann") is None
    assert review.about(hidden["id"], "ann") is None
    shown = review.decide("ann", hidden["id"], "label", "caries")
    assert "blind" not in shown
    assert shown["p"] is not None
    assert review.heat_map(hidden["id"], "ann")
    # Another reader has not decided yet; what the first one did does not show.
    bobs = {card["id"]: card for card in review.cards_for("bob")}
    assert bobs[hidden["id"]].keys() == hidden.keys() | {"others"}
    assert review.cards_for("ann")[0]["id"] != other["id"]


def test_blind_crops_are_placed_by_their_id_alone():
    ranked = [{"id": str(n)} for n in range(7)]
    unranked = [{"id": "b", "p": 0.1}, {"id": "a", "p": 0.9}]
    assert "".join(card["id"] for card in interleave(ranked, unranked)) == "012a345b6"
    assert blind({"id": "x", "p": 1, "label": "caries", "box": [1]}) == {
        "id": "x",
        "box": [1],
        "blind": True,
    }


def test_a_decision_is_in_the_store_when_it_is_answered(review):
    first, second = (card["id"] for card in others(review.cards_for("ann"))[:2])
    card = review.decide("ann", first, "label", "abscess")
    assert card["mine"] == {"decision": "label", "label": "abscess"}
    review.decide("ann", second, "unsure", None)
    expected = [[first, "label", "abscess", "ann"], [second, "unsure", None, "ann"]]
    found = decisions(review).astype(object)
    assert found.where(found.notna(), None).to_numpy().tolist() == expected


def test_a_decision_that_is_sent_again_is_stored_once_and_undone_once(review):
    crop_id = others(review.cards_for("ann"))[0]["id"]
    for _ in range(2):
        review.decide("ann", crop_id, "label", "caries")
    review.decide("ann", crop_id, "label", "abscess")
    for _ in range(2):
        card = review.undo("ann", crop_id, "label", "abscess")
    assert card["mine"] == {"decision": "label", "label": "caries"}
    assert decisions(review)["decision"].tolist() == ["label", "label", "undo"]
    assert "mine" not in review.undo("ann", crop_id, "label", "caries")


def test_reviewers_work_at_once_and_see_whose_labels_differ(review):
    crop_id = others(review.cards_for("ann"))[0]["id"]
    review.decide("ann", crop_id, "label", "caries")
    assert review.news("bob", 0) == (1, [crop_id])
    assert review.news("bob", 1) == (1, [])
    assert review.news("ann", 0) == (1, [])
    card = review.decide("bob", crop_id, "label", "abscess")
    assert card["disputed"]
    (two,) = review.agreement()
    assert (two["one"], two["other"], two["crops"], two["agreed"]) == ("ann", "bob", 1, 0)
    card = review.decide("bob", crop_id, "consensus", "caries")
    assert "disputed" not in card
    with catalog.open_store(review.store) as con:
        now = con.table("labels_now").to_arrow_table().to_pandas().set_index("crop_id")
    assert now.at[crop_id, "label"] == "caries"


def test_decisions_made_elsewhere_appear_when_a_page_is_loaded(review):
    crop_id = others(review.cards_for("ann"))[0]["id"]
    append_decisions(review.store, [Decision(crop_id, "label", "caries", "ann")])
    cards = {card["id"]: card for card in review.cards_for("ann")}
    assert cards[crop_id]["mine"]["label"] == "caries"
    assert review.decided("ann") == [crop_id]


@pytest.mark.parametrize(
    ("decision", "label"),
    [("label", "drop table"), ("label", None), ("unsure", "caries"), ("undo", None), ("x", None)],
)
def test_a_decision_that_a_page_cannot_make_is_refused(review, decision, label):
    crop_id = others(review.cards_for("ann"))[0]["id"]
    with pytest.raises(ConfigError, match="expected one of abscess, caries, healthy"):
        review.decide("ann", crop_id, decision, label)
    assert decisions(review).empty


def test_similar_crops_are_labelled_and_of_other_patients(review):
    cards = read_cards(review.settings)
    crop_id = next(iter(cards.by_id))
    found = review.about(crop_id, "ann")["similar"]
    assert len(found) == 3
    assert [each["like"] for each in found] == sorted(
        (each["like"] for each in found), reverse=True
    )
    for each in found:
        assert each["label"] == cards.by_id[each["id"]]["label"]
        assert cards.rows[each["id"]]["patient_key"] != cards.rows[crop_id]["patient_key"]


def test_neighbours_among_some_crops_are_the_nearest_of_them(review):
    facts, embeddings = load_features(review.store, dtype=np.float32)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    among = facts["crop_id"][3:9]
    expected = pd.Series(unit[3:9] @ unit[0], among).sort_values(ascending=False).index[:2]
    found = Neighbours(review.store).of(facts["crop_id"][0], 2, own_patient=True, among=set(among))
    assert found["crop_id"].tolist() == expected.tolist()


def test_earlier_crops_show_the_same_tooth_of_the_patient(review):
    cards = read_cards(review.settings)
    for crop_id, card in cards.by_id.items():
        (other,) = earlier(crop_id, cards)
        assert cards.by_id[other]["tooth"] == card["tooth"]
        assert cards.by_id[other]["patient"] == card["patient"]
        assert cards.by_id[other]["scan"] != card["scan"]


def test_pictures_come_from_parts_and_scans_from_the_inbox_or_from_crops(review):
    pictures, cards = Pictures(review.settings), read_cards(review.settings)
    crop_id, row = next(iter(cards.rows.items()))
    stored = pictures.crop_pixels(row)
    scans = [cards.rows[each] for each in cards.scans[cards.by_id[crop_id]["scan"]]]
    original = pictures.scan(scans)
    for name in review.store.names("crops"):
        review.store.remove(name)
    cut = Pictures(review.settings).crop_pixels(row)
    assert cut.shape == (256, 256)
    assert abs(cut.mean() - stored.mean()) < 5
    # Without the private folder, the delivered files are out of reach.
    (review.settings.private_folder / "key").unlink()
    assert pictures.scan(scans) != original
    assert Pictures(review.settings).crop(row) is None
    assert Pictures(review.settings).scan(scans) is None


def test_what_to_label_next_is_uncertain_and_spread_over_patients(review):
    with catalog.open_store(review.store) as con:
        found = catalog.query(con, "label_next")
        labelled = set(con.table("labels_now").to_arrow_table()["crop_id"].to_pylist())
        drawn = set(con.table("audits").to_arrow_table()["crop_id"].to_pylist())
    assert not set(found["crop_id"]) & (labelled | drawn)
    alone = found["uncertainty"] + 0.5 / (1 + found["labelled_alike"])
    found["alone"] = alone
    turns = found.groupby("patient_key")["alone"].rank(ascending=False)
    np.testing.assert_allclose(found["value"], alone / (turns + found["labelled_of_patient"]))
    assert found["value"].is_monotonic_decreasing
    review.decide("ann", found["crop_id"][0], "unsure", None)
    with catalog.open_store(review.store) as con:
        assert found["crop_id"][0] not in set(catalog.query(con, "label_next")["crop_id"])
    assert found["rank"].tolist() == list(range(1, len(found) + 1))
    assert found["uncertainty"].between(0, 1).all()


def test_crops_that_are_read_twice_hide_the_first_reading():
    card = {"id": "x", "label": "caries", "source": "ann", "p": 0.5}
    twice = Readings([Decision("x", "label", "caries", "ann")], "all")
    assert twice.as_seen(card, "bob") == {"id": "x", "p": 0.5, "others": 1}
    once = Readings([Decision("x", "label", "caries", "ann")], "audit")
    assert once.as_seen(card, "bob") == {**card, "others": 1, "taken": True}
    twice.add(Decision("x", "label", "abscess", "bob"))
    assert twice.as_seen(card, "bob")["disputed"]
    assert twice.as_seen(card, "bob")["label"] == "caries"
    assert twice.as_seen(card, "eve") == {"id": "x", "p": 0.5, "others": 2, "taken": True}
    # One who cannot tell leaves the crop to another reader.
    unsure = Readings([Decision("x", "unsure", None, "ann")], "none")
    assert not unsure.is_taken(card, "bob")
    settled = Readings([Decision("x", "consensus", "caries", "ann")], "all")
    assert settled.is_taken(card, "bob")


@pytest.mark.slow
def test_a_store_on_s3_is_reviewed_like_a_folder(built_store, s3_store):
    local = small_store(built_store)
    for name in local.store.everything():
        if not name.startswith("."):
            s3_store.write_bytes(name, local.store.read_bytes(name))
    private = local.settings.private_folder
    settings = config.load(store=s3_store.root, private=str(private), recipe=local.settings.recipe)
    review = Review(settings)
    review.refresh()
    crop_id = others(review.cards_for("ann"))[0]["id"]
    assert review.decide("ann", crop_id, "label", "abscess")["mine"]["label"] == "abscess"
    assert read_readings(s3_store) == [(crop_id, "ann", "label", "abscess")]
    assert review.heat_map(crop_id, "ann")
    pictures = Pictures(settings)
    row = read_cards(settings).rows[crop_id]
    np.testing.assert_array_equal(
        pictures.crop_pixels(row), Pictures(local.settings).crop_pixels(row)
    )
    assert pictures.scan([row])[8:12] == b"WEBP"


def test_a_missed_finding_is_a_box_with_a_label_and_can_be_taken_back(review):
    crop_id = others(review.cards_for("ann"))[0]["id"]
    scan_id = crop_id.split(":")[0]
    # Sent twice, as after a lost answer; and clipped to the scan of 90 × 120.
    for _ in range(2):
        drawn = draw_missed(review, "ann", crop_id, [70, 80, 40, 30], "caries")
    assert drawn.crop_id == f"{scan_id}:drawn-70-80-20-30"
    expected = {"id": drawn.crop_id, "box": [70, 80, 20, 30], "by": "ann", "label": "caries"}
    assert drawn_boxes(review.store) == {scan_id: [expected]}
    assert decisions(review)["crop_id"].tolist() == [drawn.crop_id]
    with pytest.raises(ConfigError, match="You drew no such box"):
        take_back(review, "bob", crop_id, drawn.crop_id)
    take_back(review, "ann", crop_id, drawn.crop_id)
    assert drawn_boxes(review.store) == {}
    assert decisions(review)["decision"].tolist() == ["label", "undo"]


@pytest.mark.parametrize(
    ("box", "label", "message"),
    [
        ([200, 200, 10, 10], "caries", "at least 4 pixels"),
        ([1, 1, 3, 50], "caries", "3 wide and 50 high"),
        ([10, 10, 30, 30], "healthy", "one of caries, abscess"),
        ([10, 10, 30, 30], None, "needs a label"),
    ],
)
def test_a_box_that_is_no_finding_is_refused(review, box, label, message):
    crop_id = others(review.cards_for("ann"))[0]["id"]
    with pytest.raises(ConfigError, match=message):
        draw_missed(review, "ann", crop_id, box, label)
    assert drawn_boxes(review.store) == {}
