"""Stored checkpoints: the last epoch of a training run, from which a killed run resumes."""

from pipeline.store.store import Store


class StoredCheckpoint:
    """The state of a run after its last epoch, in a hidden folder that no reader sees."""

    def __init__(self, store: Store, run: str):
        self._store, self._name = store, f".learning/{run}.npz"

    def load(self) -> bytes | None:
        return self._store.read_bytes(self._name) if self._store.has(self._name) else None

    def save(self, state: bytes) -> None:
        self._store.write_bytes(self._name, state, mode=0o600)

    def remove(self) -> None:
        self._store.remove(self._name)
