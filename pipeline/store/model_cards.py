"""Models in the store, told by their cards: what there is, and what tells two of them apart.

Every card says, whatever else it says: architecture, recipe_id, data (a fingerprint of what it
learned from, null when nothing), seed, scores, made_at, device, versions, seconds.
"""

from collections.abc import Mapping

from pipeline.errors import ConfigError
from pipeline.store.base import Store
from pipeline.store.catalog import whole_models
from pipeline.store.registry import champion, head_home, read_card, trunk_home
from pipeline.store.short_ids import model_id_of

UNSAID = "–"


def trunk_ids(store: Store) -> list[str]:
    """Every trunk that is whole: its card comes last."""
    return whole_models(store, "trunks")


def head_ids(store: Store) -> list[str]:
    """Every head that is whole."""
    return whole_models(store, "heads")


def require_head(store: Store, head_id: str) -> str:
    """The head that `head_id` or a prefix names; ConfigError with the nearest one otherwise."""
    return model_id_of("head", head_id, head_ids(store))


def newest_challenger(store: Store) -> str:
    """The head made last of those that are not the champion; ConfigError when there is none."""
    known = head_ids(store)
    if not known:
        raise ConfigError("The store has no head yet; train one with: dental train")
    standing = champion(store) or {}
    cards = [read_card(store, head_home(each)) for each in known]
    cards = [card for card in cards if card["head"] != standing.get("head")]
    if not cards:
        raise ConfigError("The store has no head but the champion; train one with: dental train")
    return max(cards, key=_age)["head"]


def list_models(store: Store) -> list[dict]:
    """One row per model, trunks first, the oldest first: `model`, `kind` and what a card says."""
    standing = champion(store) or {}
    rows = []
    for kind, ids, home in (
        ("trunk", trunk_ids(store), trunk_home),
        ("head", head_ids(store), head_home),
    ):
        cards = sorted((read_card(store, home(each)) for each in ids), key=_age)
        rows += [
            {
                "kind": kind,
                "model": card[kind],
                "champion": card[kind] == standing.get(kind),
                **card_facts(card),
            }
            for card in cards
        ]
    return rows


def compare_models(store: Store, first: str, second: str) -> list[tuple[str, str, str]]:
    """Facts of two models side by side: name, first, second; those that neither tells are left out.

    Raises ConfigError for a model that is not there, or for a trunk beside a head.
    """
    trunks = {each: trunk_home(each) for each in trunk_ids(store)}
    known = trunks | {each: head_home(each) for each in head_ids(store)}
    ids = [model_id_of("model", each, list(known)) for each in (first, second)]
    homes = [known[each] for each in ids]
    if (ids[0] in trunks) != (ids[1] in trunks):
        raise ConfigError(
            f"`{first}` and `{second}` are a trunk and a head, which have nothing to compare; "
            "name two of a kind. `dental models` lists them."
        )
    one, other = (card_facts(read_card(store, home)) for home in homes)
    return [(name, one[name], other[name]) for name in one if {one[name], other[name]} != {UNSAID}]


def card_facts(card: Mapping) -> dict[str, str]:
    """What a card says, as texts by name."""
    versions = card.get("versions", {})
    scores = card.get("scores") or {}
    # A head's card tells of several methods, the head's own first.
    estimates = scores.get("head", scores).get("estimates", {})
    support = scores.get("head", scores)
    return {
        "architecture": _text(card, "architecture"),
        "parameters": _text(card, "parameters"),
        "weights": _text(card, "weights"),
        "classes": ", ".join(card.get("classes", [])) or UNSAID,
        "recipe": _text(card, "recipe_id"),
        "trunk": _text(card, "trunk") if "head" in card else UNSAID,
        "data": _text(card, "data"),
        "seed": _text(card, "seed"),
        **{
            name: format_estimate(estimates[name]) if name in estimates else UNSAID
            for name in ("auroc", "auprc", "f1", "sensitivity", "specificity")
        },
        "test crops": _text(support, "rows"),
        "test patients": _text(support, "patients"),
        "threshold": f"{card['threshold']:.3f}" if "threshold" in card else UNSAID,
        "made": _text(card, "made_at"),
        "device": _text(card, "device"),
        "seconds": _text(card, "seconds"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()) or UNSAID,
    }


def format_estimate(estimate: Mapping) -> str:
    """A number with its interval, as far as there are any."""
    if estimate["value"] is None:
        return UNSAID
    if estimate["low"] is None:
        return f"{estimate['value']:.2f}"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f}–{estimate['high']:.2f})"


def _text(card: Mapping, name: str) -> str:
    value = card.get(name)
    return UNSAID if value is None else str(value)


def _age(card: Mapping) -> str:
    return card.get("made_at", "")
