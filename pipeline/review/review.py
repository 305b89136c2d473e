"""The state of a review: the cards of a store, and what each reviewer decided about them.

Cards are read again when the store has changed. Decisions are appended to the store before they
count here, so a killed server loses nothing. Any thread may call any method.
"""

import threading
from collections.abc import Iterable

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.labels import clean_label
from pipeline.learn.decisions import LABELLING, Decision, append_decisions
from pipeline.learn.pack_decisions import pack_decisions
from pipeline.review.cards import MOST_CARDS, Cards, interleave, read_cards, read_readings, to_rows
from pipeline.review.evidence import Evidence, earlier
from pipeline.review.readings import Readings
from pipeline.store import catalog
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
        self._cards: dict[str | None, Cards] = {}  # by batch; None for all
        self._stale: set[str | None] = set()
        self._names: set[str] | None = None  # of the files that the cards were read from
        self._models: set[str] | None = None
        self._log: list[str] = []  # the crop of every decision made here
        self._evidence = Evidence(settings)
        self._readings = Readings()
        self.labels: dict[str, str] = {}  # in force when the cards were read

    def refresh(self, batch: str | None = None) -> Cards:
        """The cards of a batch, or of all, read again if the store has changed since."""
        with self._lock:
            names, models = self._listed(TABLES), self._listed(MODELS)
            if models != self._models:
                self._models, self._evidence = models, Evidence(self.settings)
            if names != self._names:
                self._names, self._stale = names, set(self._cards)
                self._take_readings()
            # Cards that another page still shows stay until they are read again.
            if batch not in self._cards or batch in self._stale:
                self._stale.discard(batch)
                cards = read_cards(self.settings, batch, self._limit)
                self._cards[batch] = cards
                for crop_id, card in cards.by_id.items():
                    self.labels.pop(crop_id, None)
                    if "label" in card:
                        self.labels[crop_id] = card["label"]
            return self._cards[batch]

    def _listed(self, tables: Iterable[str]) -> set[str]:
        return {name for table in tables for name in self.store.names(table)}

    def _take_readings(self) -> None:
        """Take the decisions that are in effect in the store."""
        stored = read_readings(self.store)
        made = [Decision(crop_id, what, label, who) for crop_id, who, what, label in stored]
        self._readings = Readings(made, self.settings.double_read)

    def find(self, crop_id: str) -> tuple[Cards, dict] | None:
        """The cards that hold a crop, and where it is stored; None for an unknown id."""
        with self._lock:
            for cards in self._cards.values():
                if crop_id in cards.rows:
                    return cards, cards.rows[crop_id]
        return None

    def require(self, crop_id: str) -> tuple[Cards, dict]:
        """As `find`; ConfigError for an unknown id."""
        if found := self.find(crop_id):
            return found
        raise ConfigError("There is no such crop; load the page again.")

    def rows_of_scan(self, scan: str) -> list[dict]:
        """Where the crops of one scan, or of one frame of it, are stored; empty for an unknown."""
        with self._lock:
            for cards in self._cards.values():
                if found := cards.scans.get(scan):
                    return [cards.rows[crop_id] for crop_id in found]
        return []

    def cards_for(self, reviewer: str, batch: str | None = None) -> list[dict]:
        """All cards as a reviewer may see them, with the decisions that they made."""
        with self._lock:
            cards = self.refresh(batch)
            ranked, unranked = [], []
            for card in cards.by_id.values():
                hidden = self._readings.is_blind(card, reviewer)
                (unranked if hidden else ranked).append(self._readings.as_seen(card, reviewer))
            return interleave(ranked, unranked)

    def decided(self, reviewer: str) -> list[str]:
        """The crops that a reviewer has decided about, the latest last."""
        with self._lock:
            return self._readings.crops(reviewer)

    def card_for(self, crop_id: str, reviewer: str) -> dict:
        """One card as a reviewer may see it now."""
        with self._lock:
            cards, _ = self.find(crop_id)
            return self._readings.as_seen(cards.by_id[crop_id], reviewer)

    def decide(self, reviewer: str, crop_id: str, decision: str, label: str | None) -> dict:
        """Append a decision and return the card; nothing is appended when it is known already.

        Raises ConfigError for an unknown crop or label.
        """
        cards, row = self.require(crop_id)
        allowed = {*cards.classes.labels, cards.classes.normal}
        if decision not in GIVEN or (decision in LABELLING) != (label in allowed):
            expected = ", ".join(sorted(allowed))
            raise ConfigError(
                f"`{clean_label(str(label))}` is no label that can be given; expected one of "
                f"{expected}, or the decision unsure or withdraw."
            )
        self.record(Decision(crop_id, decision, label, reviewer), row["batch"])
        return self.card_for(crop_id, reviewer)

    def undo(self, reviewer: str, crop_id: str, decision: str, label: str | None) -> dict:
        """Undo a reviewer's decision about a crop if it is still in effect; return the card."""
        _, row = self.require(crop_id)
        with self._lock:
            made = Decision(crop_id, decision, label, reviewer)
            if self._readings.own(reviewer, crop_id) == made:
                self.record(Decision(crop_id, "undo", None, reviewer), row["batch"])
            return self.card_for(crop_id, reviewer)

    def record(self, made: Decision, batch: str) -> None:
        """Append a decision to the store, unless it is in effect already, and count it here."""
        with self._lock:
            # The page sends a decision again when it lost the answer.
            if self._readings.own(made.reviewer, made.crop_id) == made:
                return
            append_decisions(self.store, [made], {made.crop_id: batch})
            self._log.append(made.crop_id)
            if made.decision == "undo":
                self._take_readings()  # what counts now was decided before; the store knows
            else:
                self._readings.add(made)

    def pack(self) -> None:
        """Pack the parts of many decisions into one, while nothing here reads them."""
        with self._lock:
            pack_decisions(self.store)

    def news(self, reviewer: str, since: int) -> tuple[int, list[str]]:
        """How many decisions were made here, and the crops others took after `since` of them."""
        with self._lock:
            later = dict.fromkeys(self._log[max(0, since) :])
            found = filter(None, map(self.find, later))  # without boxes that were drawn now
            cards = (cards.by_id[row["crop_id"]] for cards, row in found)
            taken = [card["id"] for card in cards if self._readings.is_taken(card, reviewer)]
            return len(self._log), taken

    def about(self, crop_id: str, reviewer: str) -> dict | None:
        """Similar and earlier crops; None for a crop that the reviewer must judge blindly."""
        with self._lock:
            cards, _ = self.find(crop_id)
            if self._readings.is_blind(cards.by_id[crop_id], reviewer):
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
            if self._readings.is_blind(cards.by_id[crop_id], reviewer):
                return None
        return evidence.heat_map(row)

    def agreement(self) -> list[dict]:
        """How often every two reviewers agree, with Cohen's kappa and 95 % intervals."""
        with catalog.open_store(self.store) as con:
            return to_rows(catalog.query(con, "agreement"))

    def _hidden(self, cards: Iterable[dict], reviewer: str) -> set[str]:
        """Crops whose label a reviewer may not know."""
        asked = self._readings
        return {
            card["id"]
            for card in cards
            if asked.is_blind(card, reviewer) or asked.hides_label(card, reviewer)
        }
