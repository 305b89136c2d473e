"""The scan behind a row, found through the private index, read and decoded again."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import address_of, content_at
from pipeline.ingest.decode import decode
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.orientation import turn_upright
from pipeline.ingest.private_folder import open_private_folder


def read_source_scan(
    settings: Settings, scan_id: str, batch: str, part: int, file: Path | None = None
) -> tuple[np.ndarray, ...]:
    """Frames, uint8 (height, width) each, of a scan that came in this part of this batch.

    `file` says where it lies when it is no longer where it was delivered. Raises ConfigError when
    there is no such file or its bytes are of another scan, and ScanRejected when it does not
    decode.
    """
    path, about = _delivered(settings, scan_id, batch, part)
    path = str(file or path)
    try:
        data, why = content_at(path), "there is no such file"
    except OSError as error:
        data, why = None, error.strerror
    if data is None:
        raise ConfigError(
            f"The scan cannot be read at {path} ({why}). Put it back, or say where it lies now: "
            "--scan FILE"
        )
    if hashlib.sha256(data).hexdigest()[:32] != scan_id:
        raise ConfigError(
            f"{path} is another scan than {scan_id}, or was changed since it was delivered. Name "
            "the file as it was delivered: --scan FILE"
        )
    picture = decode(data, about.bits, settings.max_pixels)
    return (picture if about.boxes else turn_upright(picture)).frames


def _delivered(settings: Settings, scan_id: str, batch: str, part: int) -> tuple[str, Annotation]:
    """Where the scan was delivered, and what the delivery says of it."""
    private = open_private_folder(settings.private_folder, may_create=False)
    deliveries = DeliveryLists(private, batch)
    index = private.root / "index" / batch / f"part-{part:05d}.parquet"
    listed, _ = deliveries.part(part)
    paths = pq.read_table(index, filters=[("scan_id", "==", scan_id)])["path"].to_pylist()
    for each in listed:
        if each.entry.path in paths:
            return address_of(deliveries.folder, each.entry.path), each.annotation
    raise ConfigError(
        f"The private folder {settings.private_folder} does not know where scan {scan_id} lies. "
        "Set DENTAL_PRIVATE to the private folder of this store."
    )
