"""Raw dental X-rays in; Parquet embeddings, a trained head and a ranked work-list out.

    import pipeline

    store = pipeline.open("data/store")
    facts, embeddings = store.features(label=["healthy", "caries"])

`pipeline.api.store_reader.StoreReader` is what `open` returns.
"""

TYPE_CHECKING = False  # that of `typing`, which takes a while to import
if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.api.store_reader import StoreReader


def open(store: "str | Path") -> "StoreReader":
    """Open a store, a folder or `s3://BUCKET/PREFIX`, to read it from Python.

    Raises ConfigError when there is no such store, StoreError when another version wrote it.
    """
    from pipeline import config
    from pipeline.api.store_reader import StoreReader

    return StoreReader(config.load(store=str(store)))
