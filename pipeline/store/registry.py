"""Models in the store: the recipe and trunk of a run, the champion, trunks and their cards.

Settings win over the champion, and the champion over the defaults. Keras is imported only once a
model is needed.
"""

import datetime
import importlib.metadata
import io
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import Recipe, Settings, Trunk
from pipeline.errors import ArtifactError
from pipeline.imaging import regions
from pipeline.model.architecture import (
    describe,
    format_architecture,
    format_cost,
    grid,
    total,
    width,
)
from pipeline.model.trunk.golden_vector import golden_crop, golden_matches
from pipeline.model.trunk_weights import card_settings, describe_weights, trunk_fingerprint
from pipeline.store import tables
from pipeline.store.card_settings import settings_from_card
from pipeline.store.locks import acquire_lock
from pipeline.store.store import Store
from pipeline.store.tables import Table
from pipeline.store.views.card_tables import promotions

if TYPE_CHECKING:
    import keras

    from pipeline.model.network import Embedder

VERSIONS = ("dental-pipeline", "keras", "tensorflow", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class ModelChoice:
    """The recipe and trunk that a run uses, and the tables that belong to them."""

    recipe: Recipe
    recipe_id: str
    trunk: Trunk
    trunk_id: str
    output: tuple[int, ...] | None = None  # shape that a network other than the notes' puts out

    @property
    def map(self) -> tuple[int, int, int] | None:
        """Shape of an embedding, (row, column, channel); None when it is a vector."""
        if self.output is None:
            return grid(self.trunk, self.recipe.side)
        return self.output if len(self.output) == 3 else None

    @property
    def grid(self) -> tuple[int, int, int]:
        """`map`, where a vector is a map of one cell."""
        return self.map or (1, 1, self.width)

    @property
    def width(self) -> int:
        """Values per embedding."""
        return width(self.trunk, self.recipe.side) if self.output is None else prod(self.output)

    @property
    def crops(self) -> Table:
        return tables.crops(self.recipe_id, self.recipe.side)

    @property
    def background_crops(self) -> Table:
        return tables.background_crops(self.recipe_id, self.recipe.side)

    @property
    def features(self) -> Table:
        return tables.features(self.trunk_id, self.width)

    @property
    def background_features(self) -> Table:
        return tables.background_features(self.trunk_id, self.width)


def champion(store: Store) -> dict | None:
    """The newest promotion: number, recipe, trunk, head and why; None before the first."""
    return max(promotions(store), key=lambda promotion: promotion["number"], default=None)


def choose_models(settings: Settings, store: Store) -> ModelChoice:
    """Recipe and trunk of this run: of the settings, else the champion's, else the defaults."""
    current = champion(store)
    if current and not settings.model_fields_set & {"recipe", "trunk"}:
        return stored_choice(store, current["trunk"])
    recipe_id = regions.fingerprint(settings.recipe)
    trunk_id = trunk_fingerprint(settings.trunk, settings.recipe.side, recipe_id)
    if settings.trunk.is_notes:
        return ModelChoice(settings.recipe, recipe_id, settings.trunk, trunk_id)
    if store.has(f"{trunk_home(trunk_id)}/card.json"):
        return stored_choice(store, trunk_id)
    output = _output(trunk_id, settings.trunk, settings.recipe.side)
    return ModelChoice(settings.recipe, recipe_id, settings.trunk, trunk_id, output)


@cache
def _output(trunk_id: str, trunk: Trunk, side: int) -> tuple[int, ...]:
    """Shape that a trunk puts out which is not stored yet; takes seconds, once per process.

    By the id, because a file of the same path may be another one later.
    """
    from pipeline.model import image_network

    return image_network.output_of(image_network.build(trunk, side))


def stored_choice(store: Store, trunk_id: str) -> ModelChoice:
    """A stored trunk with its recipe, from its card."""
    card, home = trunk_card(store, trunk_id), trunk_home(trunk_id)
    recipe = settings_from_card(Recipe, card["recipe"], home)
    trunk = settings_from_card(Trunk, card["settings"], home)
    output = tuple(card["output"]) if "output" in card else None
    return ModelChoice(recipe, card["recipe_id"], trunk, card["trunk"], output)


def trunk_home(trunk_id: str) -> str:
    return f"models/trunks/{trunk_id}"


def head_home(head_id: str) -> str:
    return f"models/heads/{head_id}"


def read_card(store: Store, home: str) -> dict:
    """The card of a stored model."""
    try:
        return json.loads(store.read_bytes(f"{home}/card.json"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{home} has no card.json, so the model is missing or was half removed. Restore it "
            "from your backup, or remove the promotions that name it."
        ) from None


def trunk_card(store: Store, trunk_id: str) -> dict:
    return read_card(store, trunk_home(trunk_id))


def write_model(store: Store, home: str, model: "keras.Model", card: dict) -> None:
    """Store a model; the card comes last, so a model with a card is whole."""
    from pipeline.model.network import to_bytes

    store.write_bytes(f"{home}/model.keras", to_bytes(model))
    store.write_bytes(f"{home}/card.json", json.dumps(card, indent=1).encode())


def write_patients(store: Store, home: str, patients: Iterable[str]) -> None:
    """Store the patients that a model learned from, before its card, so every model has its list.

    It decides whether a prediction is marked as seen, and which models `forget` reports.
    """
    data = io.BytesIO()
    pq.write_table(pa.table({"patient_key": sorted(set(patients))}), data, compression="zstd")
    store.write_bytes(f"{home}/patients.parquet", data.getvalue())


def read_patients(store: Store, home: str) -> frozenset[str]:
    """The keyed patients that a model learned from."""
    file = store.parquet(f"{home}/patients.parquet")
    return frozenset(pq.read_table(file)["patient_key"].to_pylist())


def trunk_patients(store: Store, trunk_id: str) -> frozenset[str]:
    """The keyed patients that a trunk learned from; none when it was not learned from a store.

    None either of a trunk that was learned before trunks kept their list.
    """
    home = trunk_home(trunk_id)
    has_list = store.has(f"{home}/patients.parquet")
    return read_patients(store, home) if has_list else frozenset()


def read_model(store: Store, home: str) -> "keras.Model":
    from pipeline.model.network import from_bytes

    return from_bytes(store.read_bytes(f"{home}/model.keras"))


def made_with() -> dict:
    """Time, device and library versions for the card of a model made now."""
    from pipeline.model.keras_backend import device, keras

    return {
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": device(),
        "backend": keras.backend.backend(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def embedder(store: Store, chosen: ModelChoice) -> "Embedder":
    """The stored trunk, made if missing, ready to embed.

    Raises ArtifactError when it does not reproduce the embedding stored with it, since rows made
    now would not be comparable with the earlier ones.
    """
    from pipeline.model.network import Embedder

    home = trunk_home(chosen.trunk_id)
    if not store.has(f"{home}/card.json"):
        with acquire_lock(store, f"trunk-{chosen.trunk_id}", timeout=-1):
            # Two processes that make it at once would mix two sets of files.
            if not store.has(f"{home}/card.json"):
                _make_trunk(store, chosen)
    ready = Embedder(read_model(store, home), chosen.trunk.precision)
    golden = np.load(io.BytesIO(store.read_bytes(f"{home}/golden.npy")))
    now = ready.embed(golden_crop(chosen.recipe.side)[np.newaxis])[0]
    if not golden_matches(golden, now):
        raise ArtifactError(
            f"Trunk {chosen.trunk_id} does not reproduce the embedding stored with it, so nothing "
            "was written. Its file is damaged, or this machine computes differently: restore "
            f"{home} from your backup, or run on the machine and versions named in its card.json."
        )
    return ready


def cost_line(store: Store, chosen: ModelChoice) -> str | None:
    """What a crop costs on a trunk, as it was measured when that was made; None for the notes'."""
    if chosen.trunk.is_notes:
        return None
    costs = trunk_card(store, chosen.trunk_id)["cost"]
    return f"A crop on trunk {chosen.trunk_id}: {format_cost(costs)}"


def _build(trunk: Trunk, side: int) -> tuple["keras.Model", dict]:
    """A new trunk, and what its card has about the network."""
    if trunk.is_notes:
        from pipeline.model.network import build

        return build(trunk, side), {
            "architecture": format_architecture(trunk, side),
            "parameters": total(describe(trunk, side)).parameters,
        }
    from pipeline.model import image_network
    from pipeline.model.network_facts import card_facts

    model = image_network.build(trunk, side)
    return model, card_facts(model)


def _make_trunk(store: Store, chosen: ModelChoice) -> None:
    from pipeline.model.network import Embedder

    started = time.monotonic()
    home, side = trunk_home(chosen.trunk_id), chosen.recipe.side
    model, described = _build(chosen.trunk, side)
    golden = io.BytesIO()
    embedder = Embedder(model, chosen.trunk.precision)
    np.save(golden, embedder.embed(golden_crop(side)[np.newaxis])[0])
    store.write_bytes(f"{home}/golden.npy", golden.getvalue())
    from_seed = chosen.trunk.is_notes and chosen.trunk.weights == "random"
    card = {
        "trunk": chosen.trunk_id,
        "settings": card_settings(chosen.trunk),
        "weights": describe_weights(chosen.trunk),
        "recipe_id": chosen.recipe_id,
        "recipe": chosen.recipe.model_dump(mode="json"),
        "width": chosen.width,
        **described,
        "data": None,  # learned from nothing
        "seed": chosen.trunk.seed if from_seed else None,
        "scores": None,
        "seconds": round(time.monotonic() - started, 1),
        **made_with(),
    }
    write_model(store, home, model, card)
