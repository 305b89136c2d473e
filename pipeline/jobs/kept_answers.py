"""Answers about a store that are kept in its private folder until the store changes.

A run that finds nothing to do shows counts, and why no head was trained. To ask the store's catalog
for them, DuckDB and pandas are imported and every view is made: 0.9 s of CPU. An answer is kept
with a digest of all that it may depend on, and is asked for again when that is another one.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from pipeline.jobs.resources import made_with
from pipeline.store.open_store import OpenStore
from pipeline.store.tables import KINDS

SQL = Path(__file__).parents[2] / "sql"
FOLDER = "answers"  # in the private folder, which is on this machine


class KeptAnswers:
    """Answers by name, in one file for each `subject`, such as a batch; values are JSON's."""

    def __init__(self, opened: OpenStore, subject: str):
        self._opened, self._name = opened, f"{FOLDER}/{subject}.json"

    def of(self, name: str, ask: Callable[[], object]) -> object:
        """The kept answer, else that of `ask`, which is kept. It depends on the store alone."""
        answers = self._answers
        if name not in answers:
            answers[name] = ask()
            kept = {"state": self._state, "answers": answers}
            self._opened.private.write(self._name, json.dumps(kept).encode())
        return answers[name]

    @cached_property
    def _answers(self) -> dict[str, object]:
        try:
            kept = json.loads(self._opened.private.path(self._name).read_bytes())
            return kept["answers"] if kept["state"] == self._state else {}
        except (OSError, ValueError, KeyError, TypeError):  # none, or damaged
            return {}

    @cached_property
    def _state(self) -> str:
        """Digest of the store's tables and models, the settings, this code and its SQL."""
        digest = hashlib.sha256(made_with().encode())
        digest.update(self._opened.settings.model_dump_json().encode())
        for each in self._facts():
            digest.update(f"{each}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _facts(self) -> Iterable[str]:
        for path in sorted(SQL.rglob("*.sql")):
            yield path.read_text(encoding="utf-8")
        for folder in (*KINDS, "models"):
            yield from self._opened.store.versions(folder)
