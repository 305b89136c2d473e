"""Where learning keeps its last epoch, so that a killed run goes on from there."""

from pipeline.store.base import Store


class StoredCheckpoint:
    """The state of a run after its last epoch, beside the tables; hidden from every reader."""

    def __init__(self, store: Store, run: str):
        self._store, self._name = store, f".learning/{run}.npz"

    def load(self) -> bytes | None:
        return self._store.read_bytes(self._name) if self._store.has(self._name) else None

    def save(self, state: bytes) -> None:
        self._store.write_bytes(self._name, state, mode=0o600)

    def forget(self) -> None:
        self._store.remove(self._name)
