"""Which recipe and trunk a run works with."""

import json

import numpy as np
import pytest

from pipeline.config import Recipe, Trunk
from pipeline.store.registry import choose_models, embedder, stored_choice, trunk_card
from tests.builders.stores import TRUNK, small_store

SHAPE = ("channels", "layers")


def test_a_card_that_names_a_setting_of_an_earlier_version_is_still_read(store):
    card = {
        "trunk": "t",
        "recipe_id": "r",
        "recipe": {**Recipe(side=64).model_dump(), "tile_step": 0.5},
        "settings": Trunk().model_dump(mode="json", exclude={"weights"}),
    }
    store.write_bytes("models/trunks/t/card.json", json.dumps(card).encode())
    assert stored_choice(store, "t").recipe == Recipe(side=64)


@pytest.mark.slow
def test_a_precision_makes_another_trunk_and_stays_with_it(tmp_path):
    trunks = [TRUNK, TRUNK.model_copy(update={"precision": "bfloat16"})]
    opened = [small_store(tmp_path, trunk=trunk) for trunk in trunks]
    chosen = [choose_models(each.settings, each.store) for each in opened]
    store, crop = opened[0].store, np.full((1, 32, 32), 7, np.uint8)
    plain, half = (embedder(store, each).embed(crop) for each in chosen)
    assert (plain != half).any()
    cards = [trunk_card(store, each.trunk_id)["settings"] for each in chosen]
    # What earlier versions know, unless it is set.
    assert [set(card) for card in cards] == [known := {"seed", *SHAPE}, {*known, "precision"}]
    again = [stored_choice(store, each.trunk_id).trunk.precision for each in chosen]
    assert again == ["float32", "bfloat16"]
    assert (embedder(store, stored_choice(store, chosen[1].trunk_id)).embed(crop) == half).all()
