"""Tables that the catalog makes of the cards of promotions, novelty models and heads."""

import json
from pathlib import Path, PurePosixPath

import pyarrow as pa

from pipeline.errors import ArtifactError
from pipeline.store.store import Store

PROMOTIONS = pa.schema(
    [("number", pa.int64()), ("recipe", pa.string()), ("trunk", pa.string()), ("head", pa.string())]
)
NOVELTY_MODELS = pa.schema(
    [("number", pa.int64()), ("novelty", pa.string()), ("trunk", pa.string())]
)
HEADS = pa.schema([("head", pa.string()), ("normal_class", pa.string())])


def promotions(store: Store) -> list[dict]:
    """Every promotion, the newest last: number, recipe, trunk and head."""
    found = []
    for name in store.names("models/promotions"):
        try:
            card = json.loads(store.read_bytes(name))
            facts = {key: card[key] for key in ("recipe", "trunk", "head")}
            found.append({"number": int(Path(name).stem), **facts})
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{name} cannot be read ({error!r}), expected JSON with recipe, trunk and head in "
                "a file named by its number. Remove it, or promote a head again."
            ) from None
    return sorted(found, key=lambda promotion: promotion["number"])


def novelty_models(store: Store) -> list[dict]:
    """Every complete novelty model, the newest last: number, novelty and trunk."""
    found = []
    for each in whole_models(store, "novelty"):
        name = f"models/novelty/{each}/card.json"
        try:
            card = json.loads(store.read_bytes(name))
            found.append({key: card[key] for key in NOVELTY_MODELS.names})
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{name} cannot be read ({error!r}), expected JSON with number, novelty and trunk. "
                "Remove its folder; the next training makes it again."
            ) from None
    return sorted(found, key=lambda model: (model["number"], model["novelty"]))


def heads(store: Store) -> list[dict]:
    """Every complete head with its normal class."""
    found = []
    for head in whole_models(store, "heads"):
        name = f"models/heads/{head}/card.json"
        try:
            card = json.loads(store.read_bytes(name))
            found.append({"head": head, "normal_class": card["normal_class"]})
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{name} cannot be read ({error!r}), expected JSON with normal_class. Restore "
                "it from your backup, or remove its folder and the promotions that name it."
            ) from None
    return found


# Of every table, its rows and columns.
CARDS = {
    "promotion_files": (promotions, PROMOTIONS),
    "novelty_files": (novelty_models, NOVELTY_MODELS),
    "head_files": (heads, HEADS),
}


def whole_models(store: Store, kind: str) -> list[str]:
    """Ids of the trunks, heads or novelty models that have a card, which is written last."""
    names = (PurePosixPath(name) for name in store.names(f"models/{kind}"))
    return [name.parent.name for name in names if name.name == "card.json"]
