"""The state of a review: the cards of a store, and what each reviewer decided about them.

Cards are read again when the store has changed. Decisions are appended to the store before they
count here, so a killed server loses nothing. Any thread may call any method.
"""

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterable

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.labels import clean_label
from pipeline.learn.decisions import LABELLING, Decision, append_decisions
from pipeline.review.cards import MOST_CARDS, Cards, blind, interleave, read_cards, read_readings
from pipeline.review.evidence import Evidence, earlier
from pipeline.store.store import Store

GIVEN = ("label", "withdraw", "unsure", "consensus")  # decisions that a page can send
MODELS = ("features", "models")
TABLES = (*MODELS, "predictions", "labels", "audits", "novelty", "out_of_fold")


class Review:
    """One store under review."""

    def __init__(self, settings: Settings, limit: int = MOST_CARDS):
        self.settings, self.store = settings, Store(settings.store)
        self._limit = limit
        self._lock = threading.RLock()
        self._cards: dict[str | None, Cards] = {}
        self._names: set[str] | None = None  # of the files that the cards were read from
        self._models: set[str] | None = None
        self._log: list[tuple[str, str]] = []  # reviewer and crop of every decision made here
        self._evidence = Evidence(settings)
        self._mine: dict[str, dict[str, Decision]] = defaultdict(dict)  # by reviewer and crop
        self.labels: dict[str, str] = {}  # in force when the cards were read

    def refresh(self, batch: str | None = None) -> Cards:
        """The cards of a batch, or of all, read again if the store has changed since."""
        with self._lock:
            names, models = self._listed(TABLES), self._listed(MODELS)
            if models != self._models:
                self._models, self._evidence = models, Evidence(self.settings)
            if names != self._names:
                self._cards, self._names, self.labels = {}, names, {}
                self._take_readings()
            if batch not in self._cards:
                cards = read_cards(self.settings, batch, self._limit)
                self._cards[batch] = cards
                labels = {key: card.get("label") for key, card in cards.by_id.items()}
                self.labels |= {key: label for key, label in labels.items() if label}
            return self._cards[batch]

    def _listed(self, tables: Iterable[str]) -> set[str]:
        return {name for table in tables for name in self.store.names(table)}

    def _take_readings(self) -> None:
        """Take the decisions that are in effect in the store."""
        self._mine = defaultdict(dict)
        for crop_id, reviewer, decision, label in read_readings(self.store):
            self._mine[reviewer].pop(crop_id, None)  # the latest last
            self._mine[reviewer][crop_id] = Decision(crop_id, decision, label, reviewer)

    def find(self, crop_id: str) -> tuple[Cards, dict] | None:
        """The cards that hold a crop, and where it is stored; None for an unknown id."""
        with self._lock:
            for cards in self._cards.values():
                if crop_id in cards.rows:
                    return cards, cards.rows[crop_id]
        return None

    def rows_of_scan(self, scan: str) -> list[dict]:
        """Where the crops of one scan, or of one frame of it, are stored; empty for an unknown."""
        with self._lock:
            for cards in self._cards.values():
                if found := cards.scans.get(scan):
                    return [cards.rows[crop_id] for crop_id in found]
        return []

    def is_blind(self, card: dict, reviewer: str) -> bool:
        """Whether a reviewer must judge an audit crop by its picture alone: until they decided."""
        return bool(card.get("audit")) and card["id"] not in self._mine.get(reviewer, {})

    def cards_for(self, reviewer: str, batch: str | None = None) -> list[dict]:
        """All cards as a reviewer may see them, with the decisions that they made."""
        with self._lock:
            cards = self.refresh(batch)
            ranked, unranked = [], []
            for card in cards.by_id.values():
                hidden = self.is_blind(card, reviewer)
                (unranked if hidden else ranked).append(self._as_seen(card, reviewer))
            return interleave(ranked, unranked)

    def decided(self, reviewer: str) -> list[str]:
        """The crops that a reviewer has decided about, the latest last."""
        with self._lock:
            return list(self._mine[reviewer])

    def card_for(self, crop_id: str, reviewer: str) -> dict:
        """One card as a reviewer may see it now."""
        with self._lock:
            cards, _ = self.find(crop_id)
            return self._as_seen(cards.by_id[crop_id], reviewer)

    def _as_seen(self, card: dict, reviewer: str) -> dict:
        others = [
            made[card["id"]]
            for each, made in self._mine.items()
            if each != reviewer and card["id"] in made
        ]
        if self.is_blind(card, reviewer):
            return blind(card) | ({"others": len(others)} if others else {})
        seen = dict(card)
        if own := self._mine.get(reviewer, {}).get(card["id"]):
            seen["mine"] = {"decision": own.decision, "label": own.label}
        if others:
            seen["others"] = len(others)
            labels = {each.label for each in (own, *others) if each and each.label}
            settled = any(each.decision == "consensus" for each in (own, *others) if each)
            if len(labels) > 1 and not settled:
                seen["disputed"] = True
        return seen

    def decide(self, reviewer: str, crop_id: str, decision: str, label: str | None) -> dict:
        """Append a decision and return the card; nothing is appended when it is known already.

        Raises ConfigError for an unknown crop or label.
        """
        found = self.find(crop_id)
        if found is None:
            raise ConfigError("There is no such crop; load the page again.")
        cards, row = found
        allowed = {*cards.classes.labels, cards.classes.normal}
        if decision not in GIVEN or (decision in LABELLING) != (label in allowed):
            expected = ", ".join(sorted(allowed))
            raise ConfigError(
                f"`{clean_label(str(label))}` is no label that can be given; expected one of "
                f"{expected}, or the decision unsure or withdraw."
            )
        made = Decision(crop_id, decision, label, reviewer)
        with self._lock:
            # The page sends a decision again when it lost the answer.
            if self._mine[reviewer].get(crop_id) != made:
                self._append(made, row["batch"])
                self._mine[reviewer].pop(crop_id, None)
                self._mine[reviewer][crop_id] = made
            return self.card_for(crop_id, reviewer)

    def undo(self, reviewer: str, crop_id: str, decision: str, label: str | None) -> dict:
        """Undo a reviewer's decision about a crop if it is still in effect; return the card."""
        found = self.find(crop_id)
        if found is None:
            raise ConfigError("There is no such crop; load the page again.")
        _, row = found
        with self._lock:
            if self._mine[reviewer].get(crop_id) == Decision(crop_id, decision, label, reviewer):
                self._append(Decision(crop_id, "undo", None, reviewer), row["batch"])
                # What counts now was decided before; the store knows.
                self._take_readings()
            return self.card_for(crop_id, reviewer)

    def _append(self, made: Decision, batch: str) -> None:
        append_decisions(self.store, [made], {made.crop_id: batch})
        self._log.append((made.reviewer, made.crop_id))

    def news(self, reviewer: str, since: int) -> tuple[int, list[str]]:
        """How many decisions were made here, and the crops that others decided after `since`."""
        with self._lock:
            later = itertools.islice(self._log, max(0, since), None)
            return len(self._log), [crop_id for each, crop_id in later if each != reviewer]

    def about(self, crop_id: str, reviewer: str) -> dict | None:
        """Similar and earlier crops; None for a crop that the reviewer must judge blindly."""
        with self._lock:
            cards, _ = self.find(crop_id)
            if self.is_blind(cards.by_id[crop_id], reviewer):
                return None
            evidence, labels = self._evidence, dict(self.labels)
            hidden = self._hidden(cards.by_id.values(), reviewer)
        before = earlier(crop_id, cards)
        similar = evidence.similar(crop_id, cards, labels, hidden)
        return {
            "similar": similar,
            "earlier": [
                {"id": each, "batch": cards.rows[each]["batch"]}
                | ({} if each in hidden else {"label": labels.get(each)})
                for each in before
            ],
        }

    def heat_map(self, crop_id: str, reviewer: str) -> dict | None:
        """The heat map of a crop; None without a head and for a crop to be judged blindly."""
        with self._lock:
            cards, row = self.find(crop_id)
            evidence = self._evidence
            if self.is_blind(cards.by_id[crop_id], reviewer):
                return None
        return evidence.heat_map(row)

    def _hidden(self, cards: Iterable[dict], reviewer: str) -> set[str]:
        return {card["id"] for card in cards if self.is_blind(card, reviewer)}
