"""`make bench-scale`: the cost of a scan, and estimates for 1, 10 and 100 million.

Measures on this machine what a scan and a crop take, and what a run pays for every part that is
already in the store; the rest is arithmetic. docs/scale.md draws the conclusions.
"""

import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psutil
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import sample_scans, store_queries
from benchmarks.progress import log_step
from benchmarks.store_queries import Measurement, in_new_process, measure

PERIAPICALS, PANORAMICS = 128, 32
SIZES = (50_000, 250_000)  # scans of two stores; their difference gives the cost of a part
MILLIONS = (1, 10, 100)
SCANS_PER_PART, SCANS_PER_NIGHT = 128, 1000
PART_TABLES = 5  # ledger, crops, features, predictions, novelty; labels if delivered
NIGHT_OBJECTS = 4  # report, run record, audit, drift
# Assumed, not measured: a GPU with 1e13 multiply-adds a second in float32 of which a tenth is used,
# since convolutions of 4 to 32 channels leave most of it idle.
GPU_MULTIPLY_ADDS = 1e12
# Made by every run with something new, whatever its batch.
LOOKUPS = {
    "duplicates": store_queries.find_duplicates,
    "open the catalog": store_queries.open_catalog,
    "count batches": store_queries.batches_query,
    "look-alikes": store_queries.misfiled_query,
    "checks": store_queries.all_checks,
}


@dataclass(frozen=True)
class PerScan:
    """The cost of one kind of scan, per scan or per crop."""

    what: str
    crops: float
    delivered: float  # bytes
    receive: float  # CPU seconds
    embed: float  # CPU seconds of a crop
    crop: float  # bytes of a crop
    features: float  # bytes of a crop
    multiply_adds: int  # of a crop


def main() -> None:
    """Measure, and print the tables. Takes some minutes on two cores."""
    with tempfile.TemporaryDirectory(prefix="dental-scale-") as home:
        kinds = in_new_process(per_scan, Path(home))
        part = per_part(Path(home))
    print(
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}. "
        "CPU seconds of all processes together; phantoms are synthetic images."
    )
    console = Console(width=120)
    console.print(costs(kinds), lookups(part), *extrapolated(kinds, part))


def per_scan(root: Path) -> list[PerScan]:
    """The two extremes: a small JPEG with one crop and a large PNG with 48."""
    from pipeline.ingest.workers.pool import WorkerPool

    log_step("drawing phantoms")
    with get_context("spawn").Pool() as pool:
        folders = {
            "periapical, JPEG": sample_scans.periapicals(root, pool, PERIAPICALS, "jpeg"),
            "panoramic, PNG": sample_scans.panoramics(root, pool, PANORAMICS)["png"],
        }
    workers = WorkerPool(os.cpu_count() or 1, 60, 4096)
    try:
        for folder in folders.values():  # without what is started once
            log_step("warming up")
            measured("", folder, root, workers)
        return [measured(what, folder, root, workers) for what, folder in folders.items()]
    finally:
        workers.close()


def measured(what: str, folder: Path, root: Path, workers) -> PerScan:
    """Receive and embed one folder as one part."""
    from benchmarks.temporary_stores import BATCH, fresh_store, planned_parts
    from pipeline.ingest.delivery_lists import DeliveryLists
    from pipeline.model.architecture import describe, total
    from pipeline.stages.duplicates import AcceptedInStore
    from pipeline.stages.embed import embed_part
    from pipeline.stages.receive import Receiver
    from pipeline.store import tables
    from pipeline.store.parts import row_count
    from pipeline.store.registry import choose_models, embedder

    with fresh_store(root, folder) as opened:
        store, chosen = opened.store, choose_models(opened.settings, opened.store)
        (number,) = planned_parts(opened)
        accepted = AcceptedInStore(store, DeliveryLists(opened.private, BATCH).file_sizes())
        receiver = Receiver(opened, BATCH, chosen, workers, accepted, lambda _: None)
        received = spent(lambda: receiver.receive_part(number))
        ready = embedder(store, chosen).embed
        embedded = spent(lambda: embed_part(store, BATCH, number, chosen, ready, lambda _: None))
        crops = chosen.crops.part(BATCH, number)
        features = chosen.features.part(BATCH, number)
        size = {name: store.local_path(name).stat().st_size for name in (crops, features)}
        ledger = tables.SCANS.part(BATCH, number)
        count, crop_count = row_count(store, ledger), row_count(store, crops)
    return PerScan(
        what,
        crop_count / count,
        sum(path.stat().st_size for path in folder.iterdir()) / count,
        received / count,
        embedded / crop_count,
        size[crops] / crop_count,
        size[features] / crop_count,
        total(describe(chosen.trunk, chosen.recipe.side)).multiply_adds,
    )


def spent(work: Callable[[], object]) -> float:
    """CPU seconds of `work` in this process and its children."""
    before = cpu_seconds()
    work()
    return cpu_seconds() - before


def cpu_seconds() -> float:
    here = psutil.Process()
    times = [each.cpu_times() for each in (here, *here.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@dataclass(frozen=True)
class PerPart:
    """What a run pays for every ledger part that is already in the store."""

    lookups: dict[str, Measurement]
    listing: float  # seconds
    row: float  # bytes of the ledger for a scan

    @property
    def seconds(self) -> float:
        """Of all lookups."""
        return sum(each.seconds for each in self.lookups.values())


def per_part(root: Path) -> PerPart:
    """The difference between two stores, per part."""
    roots = [root / f"store-{size}" for size in SIZES]
    for place, size in zip(roots, SIZES, strict=True):
        log_step(f"making a store of {size:,} scans")
        place.mkdir()
        in_new_process(make_store, place, size)
    files = [list((place / "store" / "scans").rglob("*.parquet")) for place in roots]
    more, found = len(files[1]) - len(files[0]), {}
    for what, query in {**LOOKUPS, "listing": store_queries.list_ledger}.items():
        log_step(what)
        few, many = (measure(query, place) for place in roots)
        found[what] = Measurement(
            (many.seconds - few.seconds) / more, (many.peak_mb - few.peak_mb) / more
        )
    listing = found.pop("listing").seconds
    row = sum(path.stat().st_size for path in files[1]) / SIZES[1]
    return PerPart(found, listing, row)


def make_store(root: Path, size: int) -> float:
    from benchmarks import large_store_data

    return large_store_data.make(root, size, 1)


def costs(kinds: list[PerScan]) -> Table:
    """The costs of a scan."""
    table = Table("per scan", *(kind.what for kind in kinds), box=SIMPLE)
    rows = {
        "crops": lambda kind: f"{kind.crops:.0f}",
        "delivered": lambda kind: f"{kind.delivered / 1e3:,.0f} KB",
        "receive": lambda kind: f"{1e3 * kind.receive:.0f} ms CPU",
        "embed, a crop": lambda kind: f"{1e3 * kind.embed:.1f} ms CPU",
        "crops, a crop": lambda kind: f"{kind.crop / 1e3:.1f} KB",
        "features, a crop": lambda kind: f"{kind.features / 1e3:.1f} KB",
        "multiply-adds, a crop": lambda kind: f"{kind.multiply_adds / 1e6:.1f} M",
    }
    for what, cell in rows.items():
        table.add_row(what, *map(cell, kinds))
    return table


def lookups(part: PerPart) -> Table:
    """What a run with something new pays for every part in the store."""
    table = Table("for every ledger part in the store", "ms", "KB of memory", box=SIMPLE)
    for what, each in part.lookups.items():
        table.add_row(what, f"{1e3 * each.seconds:.2f}", f"{1e3 * max(0, each.peak_mb):,.0f}")
    table.add_row("total, once a run", f"{1e3 * part.seconds:.2f}", "")
    table.add_row("list parts, twice per part received", f"{1e3 * part.listing:.4f}", "")
    return table


def extrapolated(kinds: list[PerScan], part: PerPart) -> list[Table]:
    """Hours and bytes of whole stores; then what grows with the number of parts."""
    heads = ("scans", "kind", "receive CPU h", "embed CPU h", "or GPU h", "crops", "features")
    work = Table(*heads, box=SIMPLE)
    parts = Table(
        "scans", "ledger", "objects", "parts", "lookups of a run", "all listing", box=SIMPLE
    )
    for millions in MILLIONS:
        count = millions * 1_000_000
        for kind in kinds:
            crops = count * kind.crops
            work.add_row(
                f"{millions} M",
                kind.what,
                f"{count * kind.receive / 3600:,.0f}",
                f"{crops * kind.embed / 3600:,.0f}",
                f"{crops * kind.multiply_adds / GPU_MULTIPLY_ADDS / 3600:,.2f}",
                format_bytes(crops * kind.crop),
                format_bytes(crops * kind.features),
            )
        number = count / SCANS_PER_PART
        objects = number * PART_TABLES + count / SCANS_PER_NIGHT * NIGHT_OBJECTS
        parts.add_row(
            f"{millions} M",
            format_bytes(count * part.row),
            f"{objects:,.0f}",
            f"{number:,.0f}",
            f"{number * part.seconds:,.0f} s",
            # All n parts are listed twice for each that is received: n² in total.
            f"{number**2 * part.listing / 3600:,.1f} h",
        )
    return [work, parts]


def format_bytes(size: float) -> str:
    return f"{size / 1e12:,.1f} TB" if size >= 1e12 else f"{size / 1e9:,.1f} GB"


if __name__ == "__main__":
    main()
