"""Tables of the stored models, from their cards: all of them, or two side by side.

Every card has at least: architecture, recipe_id, data (a fingerprint of the training data, null
without any), seed, scores, made_at, device, versions, seconds.
"""

from collections.abc import Mapping

from pipeline.errors import ConfigError
from pipeline.report.format_numbers import CARD_MEASURES, MISSING, format_estimate
from pipeline.store.model_ids import head_ids, trunk_ids
from pipeline.store.registry import champion, head_home, read_card, trunk_home
from pipeline.store.short_ids import model_id_of
from pipeline.store.store import Store


def list_models(store: Store) -> list[dict]:
    """Return one row per model, trunks first, oldest first: kind, model, champion and its facts."""
    current = champion(store) or {}
    rows = []
    for kind, ids, home in (
        ("trunk", trunk_ids(store), trunk_home),
        ("head", head_ids(store), head_home),
    ):
        cards = [read_card(store, home(each)) for each in ids]
        rows += [
            {
                "kind": kind,
                "model": card[kind],
                "champion": card[kind] == current.get(kind),
                **card_facts(card),
            }
            for card in sorted(cards, key=lambda card: card.get("made_at", ""))
        ]
    return rows


def compare_models(store: Store, first: str, second: str) -> list[tuple[str, str, str]]:
    """Return the facts of two models side by side: name, first, second; missing ones are left out.

    Raises ConfigError for an unknown model, or for a trunk and a head.
    """
    trunks = {each: trunk_home(each) for each in trunk_ids(store)}
    homes = trunks | {each: head_home(each) for each in head_ids(store)}
    one, other = (model_id_of("model", each, list(homes)) for each in (first, second))
    if (one in trunks) != (other in trunks):
        raise ConfigError(
            f"`{first}` and `{second}` are a trunk and a head, which cannot be compared. Name two "
            "trunks or two heads; `dental models` lists them."
        )
    left, right = (card_facts(read_card(store, homes[each])) for each in (one, other))
    return [
        (name, left[name], right[name]) for name in left if {left[name], right[name]} != {MISSING}
    ]


def card_facts(card: Mapping) -> dict[str, str]:
    """Return the facts on a card, as text by name."""
    versions = card.get("versions", {})
    scores = card.get("scores") or {}
    # A head's card has the scores of several methods, a trunk's its own alone.
    own = scores.get("head", scores)
    estimates = own.get("estimates", {})
    return {
        "architecture": _text(card, "architecture"),
        "parameters": _text(card, "parameters"),
        "weights": _text(card, "weights"),
        "classes": ", ".join(card.get("classes", [])) or MISSING,
        "recipe": _text(card, "recipe_id"),
        "trunk": _text(card, "trunk") if "head" in card else MISSING,
        "data": _text(card, "data"),
        "seed": _text(card, "seed"),
        **{
            name: format_estimate(estimates[name]) if name in estimates else MISSING
            for name in CARD_MEASURES
        },
        "test crops": _text(own, "rows"),
        "test patients": _text(own, "patients"),
        "threshold": f"{card['threshold']:.3f}" if "threshold" in card else MISSING,
        "made": _text(card, "made_at"),
        "device": _text(card, "device"),
        "seconds": _text(card, "seconds"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()) or MISSING,
    }


def _text(card: Mapping, name: str) -> str:
    value = card.get(name)
    return MISSING if value is None else str(value)
