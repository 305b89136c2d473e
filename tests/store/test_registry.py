"""Which recipe and trunk a run works with."""

import json

from pipeline.config import Recipe, Trunk
from pipeline.store.registry import stored_choice


def test_a_card_that_names_a_setting_of_an_earlier_version_is_still_read(store):
    card = {
        "trunk": "t",
        "recipe_id": "r",
        "recipe": {**Recipe(side=64).model_dump(), "tile_step": 0.5},
        "settings": Trunk().model_dump(mode="json", exclude={"weights"}),
    }
    store.write_bytes("models/trunks/t/card.json", json.dumps(card).encode())
    assert stored_choice(store, "t").recipe == Recipe(side=64)
