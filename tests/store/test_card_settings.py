"""Settings are read from the cards of any version, and never filled with today's defaults."""

import pytest

from pipeline.config import GROUPS, Learn, Recipe, Trunk
from pipeline.errors import ArtifactError
from pipeline.store import card_settings
from pipeline.store.card_settings import OF_ITS_TIME, settings_from_card

RECIPE = Recipe(side=64, mask_border=0.1)
HOME = "models/trunks/t"


def card_of(settings):
    return settings.model_dump(mode="json")


def without(stored, name):
    return {key: value for key, value in stored.items() if key != name}


def test_settings_of_a_card_are_read_back():
    learn = Learn(epochs=3, labels=False)
    trunk = Trunk(weights="random", seed=4, channels=1)
    for settings in (RECIPE, trunk, learn):
        assert settings_from_card(type(settings), card_of(settings), HOME) == settings


def test_a_setting_missing_from_a_card_has_the_value_of_its_time_not_todays_default(monkeypatch):
    monkeypatch.setitem(OF_ITS_TIME, "recipe.other_share", 0.9)
    monkeypatch.setitem(OF_ITS_TIME, "trunk.layers.padding", "valid")
    found = settings_from_card(Recipe, without(card_of(RECIPE), "other_share"), HOME)
    assert found == RECIPE.model_copy(update={"other_share": 0.9})
    stored = card_of(Trunk())
    stored["layers"] = [without(layer, "padding") for layer in stored["layers"]]
    layers = settings_from_card(Trunk, stored, HOME).layers
    assert {layer.padding for layer in layers} == {"valid"}


def test_cards_without_mask_border_mask_no_border():
    assert (
        settings_from_card(Recipe, without(card_of(RECIPE), "mask_border"), HOME).mask_border == 0
    )


def test_a_removed_setting_on_a_card_is_accepted():
    assert settings_from_card(Recipe, {**card_of(RECIPE), "tile_step": 0.5}, HOME) == RECIPE
    learn = {**card_of(Learn()), "window": 160}
    assert settings_from_card(Learn, learn, HOME) == Learn()


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({**card_of(RECIPE), "rotate": 3}, r"`recipe.rotate`, which .* a newer version wrote it"),
        (without(card_of(RECIPE), "side"), r"models/trunks/t lacks the setting `recipe.side`"),
        ({**card_of(RECIPE), "side": "wide"}, r"'wide' as setting `recipe.side`: .* Restore"),
    ],
)
def test_a_card_of_a_newer_version_or_a_damaged_one_is_refused(stored, message):
    with pytest.raises(ArtifactError, match=message):
        settings_from_card(Recipe, stored, HOME)


def test_every_value_of_its_time_is_valid_for_a_setting_in_use():
    for key, value in card_settings.OF_ITS_TIME.items():
        *_, group, name = key.split(".")
        assert name in GROUPS[group].model_fields
        GROUPS[group].__pydantic_validator__.validate_assignment(
            GROUPS[group].model_construct(), name, value
        )
