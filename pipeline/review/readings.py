"""Who decided what about each crop, and what of it another reader may know.

A crop that two reviewers read shows neither of them what the other decided before they did.
"""

from collections import defaultdict
from collections.abc import Iterable

from pipeline.learn.decisions import Decision
from pipeline.review.cards import blind

CONSENSUS, LABEL = "consensus", "label"
OTHERS = ("label", "source", "suggested", "doubt")  # of a card; may come from another reviewer


class Readings:
    """The decisions in effect, by reviewer and crop."""

    def __init__(self, decisions: Iterable[Decision] = (), double_read: str = "audit"):
        """Take decisions, the latest last; `double_read` says which crops two reviewers read."""
        self._double_read = double_read
        self._made: dict[str, dict[str, Decision]] = defaultdict(dict)
        for each in decisions:
            self.add(each)

    def add(self, decision: Decision) -> None:
        """Take a decision, which is the reviewer's latest."""
        own = self._made[decision.reviewer]
        own.pop(decision.crop_id, None)
        own[decision.crop_id] = decision

    def own(self, reviewer: str, crop_id: str) -> Decision | None:
        """What a reviewer decided about a crop."""
        return self._made[reviewer].get(crop_id)

    def crops(self, reviewer: str) -> list[str]:
        """The crops that a reviewer decided about, the latest last."""
        return list(self._made[reviewer])

    def is_blind(self, card: dict, reviewer: str) -> bool:
        """Whether a reader must judge an audit crop by its picture alone: until they decided."""
        return bool(card.get("audit")) and self.own(reviewer, card["id"]) is None

    def hides_label(self, card: dict, reviewer: str) -> bool:
        """Whether a reader may not know the label of a crop, which is to be read twice."""
        if self.own(reviewer, card["id"]) is not None:
            return False
        return self._is_double(card) and card.get("source") not in (None, "delivered", reviewer)

    def is_taken(self, card: dict, reviewer: str) -> bool:
        """Whether other reviewers decided about a crop, so that it needs no reading by this one."""
        others = self._others(card["id"], reviewer)
        labels = sum(each.decision == LABEL for each in others)
        settled = any(each.decision == CONSENSUS for each in others)
        needed = 2 if self._is_double(card) else 1
        return self.own(reviewer, card["id"]) is None and (settled or labels >= needed)

    def as_seen(self, card: dict, reviewer: str) -> dict:
        """The card as a reviewer may see it, with what they decided."""
        own, others = self.own(reviewer, card["id"]), self._others(card["id"], reviewer)
        seen = blind(card) if self.is_blind(card, reviewer) else dict(card)
        if self.hides_label(card, reviewer):
            seen = {name: value for name, value in seen.items() if name not in OTHERS}
        if own:
            seen["mine"] = {"decision": own.decision, "label": own.label}
        if others:
            seen["others"] = len(others)
        if self.is_taken(card, reviewer):
            seen["taken"] = True
        if (own or not self._is_double(card)) and _disputed([*others, *filter(None, [own])]):
            seen["disputed"] = True
        return seen

    def _is_double(self, card: dict) -> bool:
        return self._double_read == "all" or (
            self._double_read == "audit" and bool(card.get("audit"))
        )

    def _others(self, crop_id: str, reviewer: str) -> list[Decision]:
        made = ((each, own.get(crop_id)) for each, own in self._made.items())
        return [decision for each, decision in made if decision and each != reviewer]


def _disputed(decisions: list[Decision]) -> bool:
    """Whether labels differ and no consensus settled it."""
    labels = {each.label for each in decisions if each.label}
    return len(labels) > 1 and not any(each.decision == CONSENSUS for each in decisions)
