"""One export: what is written, and where."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Settings
from pipeline.export.rows import ExportRows
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.store.crop_query import CropFilter
from pipeline.store.store import Store


@dataclass(frozen=True)
class Export:
    """What every writer is given.

    `private` is None where the private folder is not. `files` are the delivered paths by scan_id,
    with `--names` alone.
    """

    settings: Settings
    store: Store
    kept: CropFilter
    rows: ExportRows
    out: Path
    private: PrivateFolder | None
    files: dict[str, str] | None = None

    @property
    def head(self) -> str | None:
        return self.rows.provenance["head"]
