"""Ids of the stored trunks and heads."""

from pipeline.errors import ConfigError
from pipeline.store.registry import champion, head_home, read_card
from pipeline.store.short_ids import model_id_of
from pipeline.store.store import Store
from pipeline.store.views.card_tables import whole_models


def trunk_ids(store: Store) -> list[str]:
    """Return every complete trunk; its card is written last."""
    return whole_models(store, "trunks")


def head_ids(store: Store) -> list[str]:
    """Return every complete head."""
    return whole_models(store, "heads")


def require_head(store: Store, head_id: str) -> str:
    """Return the head that `head_id` or a prefix names.

    Raises ConfigError with the most similar id for an unknown one.
    """
    return model_id_of("head", head_id, head_ids(store))


def newest_challenger(store: Store) -> str:
    """Return the newest head that is not the champion. Raises ConfigError if there is none."""
    heads = head_ids(store)
    if not heads:
        raise ConfigError("The store has no head yet; train one with: dental train")
    current = (champion(store) or {}).get("head")
    cards = [read_card(store, head_home(head)) for head in heads if head != current]
    if not cards:
        raise ConfigError("The store has no head but the champion; train one with: dental train")
    return max(cards, key=lambda card: card.get("made_at", ""))["head"]
