"""The network of a trunk before and after learning: that of the notes, or one that is stored."""

from pipeline import config
from pipeline.learn.crop_source import CropSource
from pipeline.model.head.abnormal_probability import NAME
from pipeline.model.head.initial_weights import InitialWeights
from pipeline.model.keras_backend import keras
from pipeline.model.network import build
from pipeline.model.trunk.fine_tuning import FineTuned
from pipeline.model.trunk.train import LearnedTrunk, Trainable
from pipeline.model.trunk.trainable import FromScratch
from pipeline.store.registry import ModelChoice, read_model, trunk_card, trunk_home
from pipeline.store.store import Store

LEARNED_FROM = "learned_from"  # on cards: the trunk that was fine-tuned


def trainable_trunk(
    store: Store, chosen: ModelChoice, start: str | None, settings: config.Learn
) -> Trainable:
    """The network of `chosen` in training: from random weights, or from a stored trunk `start`."""
    if start is None:
        return FromScratch(chosen.trunk, chosen.recipe.side, settings.seed)
    return FineTuned(read_model(store, trunk_home(start)))


def start_of_learned(store: Store, chosen: ModelChoice) -> str | None:
    """The trunk that a learned one was fine-tuned from; None when it was learned from scratch."""
    return trunk_card(store, chosen.trunk_id).get(LEARNED_FROM)


def learned_network(
    store: Store, chosen: ModelChoice, start: str | None, found: LearnedTrunk
) -> keras.Model:
    """Build the network as it is stored, with the weights that were learned."""
    if start is None:
        # Random weights first, because those of the settings may be of another architecture.
        model = build(chosen.trunk.model_copy(update={"weights": "random"}), chosen.recipe.side)
    else:
        model = read_model(store, trunk_home(start))
    model.set_weights(found.weights)
    return model


def head_start(found: LearnedTrunk, crops: CropSource) -> InitialWeights:
    """Initial weights of a head: those of the network above the trunk."""
    names = (*crops.class_names, NAME) if crops.background else crops.class_names
    return InitialWeights(names, tuple(found.above))
