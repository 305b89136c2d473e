"""HTML of the page of one batch, from what `batch_report` read from the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.report import model_facts
from pipeline.report.batch_pictures import GalleryCrop, ScanPair, SearchedScan
from pipeline.report.charts import svg_charts
from pipeline.report.html_page import render_template
from pipeline.report.next_steps import next_steps
from pipeline.report.remedies import remedy_for


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that is on the page; rows are dictionaries by column."""

    batch: str
    counts: Mapping[str, int]  # delivered, accepted, duplicate, rejected, crops, features, …
    failures: Sequence[str]
    broken_checks: Sequence[str]
    alerts: Sequence[str]  # how the batch differs from the reference
    notes: Sequence[str]
    rejections: Sequence[Mapping]  # reason, scans
    rejected: Sequence[Mapping]  # part, row, reason, detail; the first files
    duplicates: Sequence[Mapping]  # duplicate_of, scans
    kinds: Sequence[Mapping]  # the rows of the query scan_kinds
    quality: Sequence[Mapping]  # flag, scans, rejected
    near_duplicates: int  # pairs of accepted scans that look alike
    pairs: Sequence[ScanPair]  # the first of them
    drift: Sequence[Mapping]  # the rows of the query drift
    problems: Mapping[str, int]  # label lines that could not be used, by kind
    regions: Mapping[str, int]  # crops with an embedding, by region kind
    balance: Sequence[Mapping]  # region_kind, label, crops, patients
    predicted: Sequence[Mapping]  # predicted, crops, flagged
    seconds: Mapping[str, float]  # by stage
    worked: Mapping[str, int]  # parts, by stage
    recipe: str
    trunk: str
    head: str | None
    trunk_card: Mapping | None  # None before the trunk was made
    head_card: Mapping | None
    evaluations: Mapping[str, Mapping]  # by name of the method, the head first; empty without one
    unseen: Sequence[int]  # crops per bin of p_abnormal; empty without predictions
    seen: Sequence[int]
    flagged: int
    gallery: Sequence[GalleryCrop]  # in work-list order, or examples without predictions
    no_heat: str | None  # why there are no heat maps, if they cannot be made
    searched: Sequence[SearchedScan]  # some panoramics whose crops are still stored


def render(page: Page) -> str:
    """Return the HTML of `page`; equal pages give equal text."""
    return render_template(
        "batch.html.j2",
        page=page,
        steps=next_steps(page),
        remedy_for=remedy_for,
        scores=model_facts.score_table(page.evaluations),
        headline=model_facts.headline_score(page.evaluations) if page.evaluations else None,
        warnings=_warnings(page),
        facts=_facts(page),
        drift=drift_charts(page.drift),
        timing=svg_charts.timing(page.seconds) if page.seconds else None,
        bottleneck=bottleneck(page.seconds),
        histogram=_histogram(page),
    )


def drift_charts(rows: Sequence[Mapping]) -> list[tuple[str, str, Markup, Sequence[str]]]:
    """Return, for every modality that was compared: its name, the counts, a chart, its alerts.

    A fact is drawn as its distance from the reference divided by the distance that chance exceeds
    once in 100.
    """
    found = {}
    for row in rows:
        if row["fact"] is not None and row["by_chance"]:
            found.setdefault(row["modality"], []).append(row)
    charts = []
    for modality, facts in found.items():
        ratios = {
            row["fact"].replace("_", " "): row["distance"] / row["by_chance"] for row in facts
        }
        counts = (
            f"{facts[0]['patients']} patients, {facts[0]['reference_patients']} in the reference"
        )
        words = [row["words"] for row in facts if row["alert"]]
        charts.append((modality, counts, svg_charts.shares(ratios), words))
    return charts


def bottleneck(seconds: Mapping[str, float]) -> str | None:
    """Return a sentence about the stage that took longest."""
    total = sum(seconds.values())
    if not total:
        return None
    stage = max(seconds, key=lambda name: seconds[name])
    share = seconds[stage] / total
    return f"The longest stage is {stage}: {share:.0%} of {total:.1f} s."


def _warnings(page: Page) -> list[str]:
    if page.head_card is None:
        return []
    return model_facts.warnings(page.head_card, page.evaluations, page.regions)


def _facts(page: Page) -> model_facts.Facts:
    facts = [("Recipe", page.recipe), ("Trunk", page.trunk)]
    if page.trunk_card:
        facts += model_facts.trunk_facts(page.trunk_card)
        if page.head_card:
            width = page.trunk_card["width"]
            facts += [("Head", page.head), *model_facts.head_facts(page.head_card, width)]
    return facts


def _histogram(page: Page) -> Markup | None:
    if not page.unseen:
        return None
    return svg_charts.histogram(page.unseen, page.seen, page.head_card["threshold"])
