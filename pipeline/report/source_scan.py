"""The original files of stored scans: their names, and one found, read and decoded again."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import address_of, content_at
from pipeline.ingest.decode import decode
from pipeline.ingest.delivery_lists import FORGOTTEN, DeliveryLists
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.orientation import turn_upright
from pipeline.ingest.private_folder import PrivateFolder, open_private_folder
from pipeline.store.regions import FIRST, accepted_scan
from pipeline.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


def read_source_scan(
    settings: Settings, scan_id: str, batch: str, part: int, file: Path | None = None
) -> tuple[np.ndarray, ...]:
    """Return the frames, uint8 (height, width) each, of a scan from this part of this batch.

    `part` may be one of drawn boxes.
    `file` is where it is now, if it was moved after delivery. Raises ConfigError when there is no
    such file or its bytes are those of another scan, and ScanRejected when it cannot be decoded.
    """
    data, annotation = read_source_file(settings, scan_id, batch, part, file)
    picture = decode(data, annotation.bits, settings.max_pixels)
    return (picture if annotation.boxes else turn_upright(picture)).frames


def read_source_file(
    settings: Settings, scan_id: str, batch: str, part: int, file: Path | None = None
) -> tuple[bytes, Annotation]:
    """Return the bytes of a scan as it was delivered, and its annotation.

    Raises ConfigError as `read_source_scan` does.
    """
    path, annotation = _delivered_file(settings, scan_id, batch, part)
    path = str(file or path)
    try:
        data, problem = content_at(path), "there is no such file"
    except OSError as error:
        data, problem = None, error.strerror
    if data is None:
        raise ConfigError(
            f"The scan cannot be read from {path} ({problem}). Put it back, or name the file where "
            "it is now: --scan FILE"
        )
    if hashlib.sha256(data).hexdigest()[:32] != scan_id:
        raise ConfigError(
            f"{path} is not scan {scan_id}, or was changed after delivery. Name the file as it was "
            "delivered: --scan FILE"
        )
    return data, annotation


def _delivered_file(
    settings: Settings, scan_id: str, batch: str, part: int
) -> tuple[str, Annotation]:
    """Return the path that the scan was delivered under, and its annotation."""
    private = open_private_folder(settings.private_folder, may_create=False)
    deliveries = DeliveryLists(private, batch)
    if part >= FIRST:
        part = accepted_scan(Store(settings.store), batch, scan_id)["part"]
    index = private.root / "index" / batch / f"part-{part:05d}.parquet"
    listed, _ = deliveries.part(part)
    paths = pq.read_table(index, filters=[("scan_id", "==", scan_id)])["path"].to_pylist()
    for each in listed:
        if each.entry.path in paths:
            return address_of(deliveries.folder, each.entry.path), each.annotation
    raise ConfigError(
        f"The private folder {settings.private_folder} has no path of scan {scan_id}. Set "
        "DENTAL_PRIVATE to the private folder of this store."
    )


def delivered_names(private: PrivateFolder, rows: "pd.DataFrame") -> list[str | None]:
    """The path of every row's file in its batch, by batch, part and row; None if forgotten."""
    names: dict[tuple, str] = {}
    for batch in rows["batch"].unique():
        for file in DeliveryLists(private, batch).all_files():
            if file.entry.kind != FORGOTTEN:
                path = file.entry.path.decode("utf-8", "backslashreplace")
                names[batch, file.part, file.row] = path
    places = zip(rows["batch"], rows["part"], rows["row"], strict=True)
    return [names.get(place) for place in places]
