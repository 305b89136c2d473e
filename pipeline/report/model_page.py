"""The page of a head: scores, curves, confusions with examples, doubtful labels, a map.

Each picture is shown with its whole crop_id, by which `forget` and `undo` find the page.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.config import Settings
from pipeline.errors import NotEnoughData
from pipeline.imaging.crops import jpeg
from pipeline.learn.evaluate import HeadEvaluation, evaluate_head
from pipeline.learn.scored_rows import ScoredRows
from pipeline.model.embedding_map import embedding_plane
from pipeline.report import model_facts
from pipeline.report.charts import curve_charts
from pipeline.report.crop_pixels import read_crops
from pipeline.report.evaluation_report import format_evaluation
from pipeline.report.format_numbers import METHODS, format_estimate
from pipeline.report.html_page import Table, render_template
from pipeline.report.index_page import QUESTIONS, index_facts, write_index
from pipeline.report.training_summary import format_learning_curve
from pipeline.store import catalog
from pipeline.store.parts import embedding_values
from pipeline.store.registry import stored_choice
from pipeline.store.store import Store

EXAMPLES = 3  # pictures of a cell of the confusion matrix
DOUBTFUL = 24  # labels shown
MAPPED = 600  # crops on the map
CROSS_VALIDATION = re.compile(r"runs/cross-validation-[^/]+\.json")
CURVES = {
    "roc": (("1 − specificity", "sensitivity"), "Receiver operating characteristic"),
    "precision_recall": (("sensitivity (recall)", "precision"), "Precision and recall"),
}


@dataclass(frozen=True)
class Example:
    """A crop shown as an example, with a line of text."""

    crop_id: str
    line: str
    image: bytes | None  # None when the crop was deleted


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix, the surest predictions first."""

    truth: str
    predicted: str
    count: int
    examples: list[Example]


def page_name(head: str) -> str:
    """The name of a head's page in the store."""
    return f"reports/evaluation-{head}.html"


def write_page(store: Store, found: HeadEvaluation) -> str:
    """Write the HTML page of an evaluation, readable by its owner alone, and return its name."""
    card = found.card
    recipe = stored_choice(store, card["trunk"]).recipe_id
    evaluations = model_facts.evaluations_of(card) if "scores" in card else {}
    unread = frozenset(catalog.ask(store, "open_audits")["crop_id"])
    cells = confusions(store, recipe, found.rows, unread)
    page = render_template(
        "evaluation.html.j2",
        head=card["head"],
        text=format_evaluation(found),
        curves=[
            (title, curve_charts.curve(found.curves[name], axes, f"{title} on the test side"))
            for name, (axes, title) in CURVES.items()
            if name in found.curves
        ],
        reliability=curve_charts.reliability(found.reliability),
        scores=model_facts.score_table(evaluations),
        differences=difference_table(card.get("differences", {})),
        classes=card["classes"],
        truths=sorted({cell.truth for cell in cells}),
        counts=Counter({(cell.truth, cell.predicted): cell.count for cell in cells}),
        cells=cells,
        doubtful=doubtful_labels(store, card["head"], unread),
        **learning_curve(store, card["trunk"]),
        **embedding_maps(store, card["trunk"]),
    )
    store.write_bytes(page_name(card["head"]), page.encode(), mode=0o600)
    return page_name(card["head"])


def write_head_page(store: Store, head: str, settings: Settings) -> str | None:
    """Evaluate a head that was trained just now and write its page.

    Returns the page's name; None when no test row is left to measure on.
    """
    try:
        found = evaluate_head(store, head, settings.near_duplicate_bits)
    except NotEnoughData:
        return None
    return write_page(store, found)


def write_pages_of_new_head(store: Store, head: str, settings: Settings) -> str | None:
    """Write the page of a head that was trained just now, and the overview, which links it.

    Returns the name of the head's page, as `write_head_page`.
    """
    page = write_head_page(store, head, settings)
    with catalog.open_store(store, *QUESTIONS) as con:
        write_index(store, index_facts(con))
    return page


def difference_table(differences: Mapping[str, Mapping]) -> Table:
    """Return the lead of the head over every baseline in AUROC."""
    rows = tuple(
        (METHODS[name], format_estimate(found, "+.3f")) for name, found in differences.items()
    )
    return Table("Lead of the head", ("over", "AUROC lead"), rows)


def learning_curve(store: Store, trunk: str) -> dict:
    """Return chart and sentences of the trunk's cross-validation with the most crops, if any."""
    names = [name for name in store.names("runs") if CROSS_VALIDATION.fullmatch(name)]
    records = [json.loads(store.read_bytes(name)) for name in names]
    curves = [
        (record["rows"], record["learning_curve"])
        for record in records
        if record["trunk"] == trunk and record.get("learning_curve")
    ]
    if not curves:
        return {"learning": None, "learned": []}
    _, curve = max(curves, key=lambda each: each[0])
    values = [
        (f"{each['patients']} patients", *(each["auroc"][key] for key in ("value", "low", "high")))
        for each in curve
    ]
    chart = curve_charts.intervals([(*each, False) for each in values], "AUROC within folds")
    return {"learning": chart, "learned": format_learning_curve(curve)}


def confusions(
    store: Store, recipe: str, rows: ScoredRows, unread: Collection[str] = ()
) -> list[Cell]:
    """Return the cells of the confusion matrix that hold crops, the wrong ones first.

    Crops of the audit that are `unread` are counted but shown with no cell: whoever labels one is
    to judge by the picture alone.
    """
    classes = rows.card["classes"]
    best = rows.probabilities.argmax(axis=1)
    facts = pd.DataFrame(
        {
            "crop_id": rows.facts["crop_id"],
            "batch": rows.facts["batch"],
            "recipe": recipe,
            "truth": rows.facts["label"],
            "predicted": [classes[number] for number in best],
            "p": rows.probabilities.max(axis=1),
        }
    ).sort_values(["p", "crop_id"], ascending=[False, True])
    groups = dict(list(facts.groupby(["truth", "predicted"])))
    readable = {key: mine[~mine["crop_id"].isin(unread)] for key, mine in groups.items()}
    shown = pd.concat([mine.head(EXAMPLES) for mine in readable.values()])
    images = crop_images(store, shown.to_dict("records"))
    cells = [
        Cell(
            truth,
            predicted,
            len(mine),
            [
                Example(row.crop_id, f"p {row.p:.2f}", images.get(row.crop_id))
                for row in readable[truth, predicted].head(EXAMPLES).itertuples()
            ],
        )
        for (truth, predicted), mine in groups.items()
    ]
    return sorted(cells, key=lambda cell: (cell.truth == cell.predicted, -cell.count))


def doubtful_labels(store: Store, head: str, unread: Collection[str] = ()) -> list[Example]:
    """Return labels that models which had not learned from them find unlikely.

    Without crops of the audit that are `unread`.
    """
    found = catalog.ask(store, "doubtful_labels", head=head, limit=DOUBTFUL + len(unread))
    rows = found[~found["crop_id"].isin(unread)].head(DOUBTFUL).to_dict("records")
    images = crop_images(store, rows)
    return [
        Example(
            row["crop_id"],
            f"label {row['label']} ({row['source']}), suggested {row['suggested']}; "
            f"p of the label {row['self_confidence']:.2f}",
            images.get(row["crop_id"]),
        )
        for row in rows
    ]


def crop_images(store: Store, rows: Iterable[Mapping]) -> dict[str, bytes]:
    """Return crops as JPEG by crop_id, without those that were deleted."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        wanted.setdefault((row["recipe"], row["batch"]), set()).add(row["crop_id"])
    return {
        crop_id: jpeg(crop.pixels)
        for (recipe, batch), crop_ids in sorted(wanted.items())
        for crop_id, crop in read_crops(store, recipe, batch, crop_ids).items()
    }


def embedding_maps(store: Store, trunk: str) -> dict[str, object]:
    """Return maps of the embeddings by class, batch and modality, and how they were drawn."""
    crops = catalog.ask(store, "mapped_crops", trunk=trunk, limit=MAPPED)
    if len(crops) < 3:
        return {"maps": [], "plane": None}
    plane = embedding_plane(_embeddings(store, trunk, crops))
    maps = [_map(plane.points, crops[column], name) for column, name in MAPS.items()]
    return {"maps": maps, "plane": plane}


MAPS = {"label": "class", "batch": "batch", "modality": "modality"}


def _map(points: np.ndarray, groups: pd.Series, name: str) -> tuple[str, Markup]:
    drawn = curve_charts.scatter(points.tolist(), groups.tolist(), f"Embeddings by {name}")
    return f"By {name}", drawn


def _embeddings(store: Store, trunk: str, crops: pd.DataFrame) -> np.ndarray:
    """Embeddings (N, width) of crops, row for row."""
    features = stored_choice(store, trunk).features
    positions = {crop_id: row for row, crop_id in enumerate(crops["crop_id"])}
    found: np.ndarray | None = None
    for part in sorted(set(zip(crops["batch"], crops["part"], strict=True))):
        for numbers, rows in features.select(store, *part, positions, ["embedding"]):
            values = embedding_values(rows)
            found = np.zeros((len(crops), values.shape[1]), np.float32) if found is None else found
            found[numbers] = values
    return found
