"""Heat maps on the cards of a batch's page: what speaks for the likeliest finding of a crop.

Computed from stored embeddings and the head's weights alone, all cards at once.
"""

import contextlib
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ArtifactError
from pipeline.imaging.crops import png
from pipeline.model.architecture import grid
from pipeline.model.explain import Explanation, explain_rows
from pipeline.model.head import dense
from pipeline.model.head.dense import DenseNetwork
from pipeline.report.batch_summary import Summary
from pipeline.report.heat_map import FINDING_COLOUR, NORMAL_COLOUR, OPACITY
from pipeline.store.parts import embedding_values, find_rows
from pipeline.store.registry import ModelChoice, head_home, stored_choice
from pipeline.store.store import Store


@dataclass(frozen=True)
class CardHeatMap:
    """The heat map of one card."""

    image: bytes  # PNG, one pixel for each cell of the trunk's map
    finding: str  # the class that orange cells speak for; blue ones speak for the normal class


def card_heat_maps(
    store: Store, summary: Summary, head_card: dict, crop_ids: list[str]
) -> tuple[dict[str, CardHeatMap], str | None]:
    """Return the heat maps of crops by crop_id, and why there are none if they cannot be made."""
    classes, name = head_card["classes"], f"{head_home(summary.head)}/model.keras"
    if not store.has(name):
        return {}, f"{name} is missing."
    chosen = stored_choice(store, summary.trunk)
    embeddings = _embeddings(store, summary.batch, chosen, crop_ids)
    if not embeddings:
        return {}, None
    try:
        head = _head(store, name).only(len(classes))
        shape = grid(chosen.trunk, chosen.recipe.side)
        normal = classes.index(head_card["normal_class"])
        found = explain_rows(head, np.stack([*embeddings.values()]), normal, shape)
    except ArtifactError as error:
        return {}, str(error)
    maps = {
        crop_id: CardHeatMap(png(overlay(each)), classes[each.finding])
        for crop_id, each in zip(embeddings, found, strict=True)
    }
    return maps, None


def _head(store: Store, name: str) -> DenseNetwork:
    """Read a head in float32, by which cells differ by a millionth of the strongest.

    What is left of it without zeros is kept next to it for the next page.
    """
    from pipeline.model.head import sparse  # imports scipy, which a run without predictions lacks

    small = f"{name.removesuffix('.keras')}.sparse.npz"
    if store.has(small):
        with contextlib.suppress(*sparse.UNREADABLE):
            return sparse.from_bytes(store.read_bytes(small))
    head = dense.from_bytes(store.read_bytes(name), np.float32)
    if sparse.is_sparse(head):
        store.write_bytes(small, sparse.to_bytes(head))
    return head


def overlay(found: Explanation) -> np.ndarray:
    """Return a map as uint8 (row, column, 4): the sign is the colour, the strength is alpha.

    The channels are blue, green, red and alpha.
    """
    strongest = float(np.abs(found.cells).max()) or 1.0
    colours = [bytes.fromhex(each[1:])[::-1] for each in (NORMAL_COLOUR, FINDING_COLOUR)]
    pixels = np.empty((*found.cells.shape, 4), np.uint8)
    sign = (found.cells > 0).astype(int)
    pixels[..., :3] = np.array([[*each] for each in colours], np.uint8)[sign]
    pixels[..., 3] = np.rint(255 * OPACITY * np.abs(found.cells) / strongest)
    return pixels


def _embeddings(
    store: Store, batch: str, chosen: ModelChoice, crop_ids: list[str]
) -> dict[str, np.ndarray]:
    """Embeddings, float16 (width,), of the crops of a batch that have one."""
    found: dict[str, np.ndarray] = {}
    for number in chosen.features.numbers(store, batch):
        if len(found) == len(crop_ids):
            break
        name, columns = chosen.features.part(batch, number), ["crop_id", "embedding"]
        rows = find_rows(store, name, chosen.features.schema, "crop_id", crop_ids, columns)
        found |= zip(rows["crop_id"].to_pylist(), embedding_values(rows), strict=True)
    return found
